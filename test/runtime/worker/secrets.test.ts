/** What a filter can learn of the way to the broker: nothing by itself, and no more than the README says. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, chown, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type BrokerUser, brokerUser } from '../../support/broker-user.ts';
import { startDotInstallation } from '../../support/dot-installation.ts';
import { type Installation, startInstallation } from '../../support/installation.ts';
import { AS_NODE_20 } from '../../support/old-node.ts';
import { environmentOf } from '../../support/process-facts.ts';
import { LAUNCHER } from '../../support/run-program.ts';
import { upValues } from '../../support/up-values.ts';

const OTHER_UID = 65_534;
const hasApi = process.env.AMQP_MANAGEMENT_URL !== undefined;
const isRoot = process.getuid?.() === 0;

interface Findings {
  found: string[];
  looked: number;
}

async function findings(at: Installation, { password }: BrokerUser, files: string[] = []): Promise<Findings> {
  const terces = [...password].reverse().join('');
  await at.publish({ id: 'spy', input: 'dot.png', steps: [{ filter: 'spy', params: { terces, files } }] });
  await at.ended('spy', 60_000);
  return JSON.parse((await at.read('out/spy.json')).toString());
}

function start(args: string[], env: NodeJS.ProcessEnv): AsyncDisposable & { process: ChildProcess } {
  const started = spawn(process.execPath, args, { env, stdio: 'ignore' });
  return {
    process: started,
    async [Symbol.asyncDispose]() {
      started.kill('SIGKILL');
    },
  };
}

describe.runIf(process.platform === 'linux' && hasApi)('the password of AMQP_URL', () => {
  it.each([
    ['a worker', ['worker', 'spy'], []],
    ['a worker that an older Node started', ['worker', 'spy'], [AS_NODE_20]],
    ['darkroom up', ['up', '--speed', '20', '--values'], []],
    ['darkroom up that an older Node started', ['up', '--speed', '20', '--values'], [AS_NODE_20]],
  ])(
    'is in no environment or command line that a filter can read: %s',
    { timeout: 90_000 },
    async (_, args, nodeOptions) => {
      await using user = (await brokerUser({ configure: '.*', write: '.*', read: '.*' }))!;
      await using at = await startDotInstallation();
      const values = args.includes('up') ? [await upValues(at.home, 'spy')] : [];
      await using _started = start([...nodeOptions, LAUNCHER, ...args, ...values], {
        ...at.env,
        AMQP_URL: user.amqpUrl,
      });

      const { found, looked } = await findings(at, user);

      expect(found).toEqual([]);
      expect(looked).toBeGreaterThan(4);
    },
  );

  it('is looked for in the right places: what does not hide it is found', async () => {
    await using user = (await brokerUser({ configure: '.*', write: '.*', read: '.*' }))!;
    await using at = await startDotInstallation();
    await at.worker('spy');
    await using open = start(['--eval', 'setInterval(() => {}, 1000)'], { AMQP_URL: user.amqpUrl });

    const { found } = await findings(at, user);

    expect(found).toEqual([`/proc/${open.process.pid}/environ`]);
  });

  it('leaves the variables to the process that was told them', async () => {
    await using at = await startInstallation();
    const worker = await at.worker('convert');

    expect((await environmentOf(worker.pid)).replaceAll('\0', '')).toBe('');
    expect((await environmentOf(await worker.childPid())).replaceAll('\0', '')).not.toBe('');
  });
});

describe.runIf(process.platform === 'linux' && hasApi)('a password in a file', () => {
  async function setUp(user: BrokerUser, env: NodeJS.ProcessEnv) {
    const at = await startDotInstallation(env);
    const file = join(at.home, 'password');
    await writeFile(file, user.password, { mode: 0o600 });
    const url = new URL(user.amqpUrl);
    url.password = '';
    return { at, file, worker: { AMQP_URL: url.href, AMQP_PASSWORD_FILE: file } };
  }

  it('can be read by a filter that runs as the worker’s user, as the README says', async () => {
    await using user = (await brokerUser({ configure: '.*', write: '.*', read: '.*' }))!;
    const { at, file, worker } = await setUp(user, {});
    await using _at = at;
    await at.worker('spy', worker);

    expect((await findings(at, user, [file])).found).toEqual([file]);
    expect(await readFile(new URL('../../../README.md', import.meta.url), 'utf8')).toContain(
      'may read what that user may read',
    );
  });

  it.runIf(isRoot)('cannot be read by one that runs as another user', async () => {
    await using user = (await brokerUser({ configure: '.*', write: '.*', read: '.*' }))!;
    const { at, file, worker } = await setUp(user, { CHILD_UID: String(OTHER_UID) });
    await using _at = at;
    await chmod(at.home, 0o711);
    await chown(at.folder, OTHER_UID, OTHER_UID);
    const parent = await at.worker('spy', worker);

    const { found } = await findings(at, user, [file, `/proc/${parent.pid}/mem`]);

    expect(found).toEqual([]);
    const status = await readFile(`/proc/${await parent.childPid()}/status`, 'utf8');
    expect(status).toMatch(/^Uid:\t65534\t65534\t65534/m);
    expect(status).toMatch(/^Gid:\t65534\t65534\t65534/m);
    expect(status).toMatch(/^Groups:\s*$/m);
  });
});

describe.runIf(isRoot)('CHILD_UID', () => {
  it('is a mistake where the worker may not choose', async () => {
    await using at = await startInstallation({ env: { CHILD_UID: '1234' } });
    await chmod(at.home, 0o711);
    const worker = spawn(process.execPath, [LAUNCHER, 'worker', 'convert'], {
      env: at.env,
      uid: OTHER_UID,
      gid: OTHER_UID,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    worker.stderr.on('data', (text: Buffer) => {
      said += text.toString();
    });
    const code = await new Promise((resolve) => worker.once('exit', resolve));

    expect(said).toContain('CHILD_UID and CHILD_GID: this worker may not run filters as 1234:1234');
    expect(code).toBe(2);
  });
});

/** The commands that look after the broker: queues, dead letters, doctor and smoke. */
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startInstallation } from '../../support/installation.ts';
import { runDarkroom } from '../../support/run-program.ts';
import { startS3Server } from '../../support/s3-server.ts';

const folder = () => mkdtemp(join(tmpdir(), 'darkroom-cli-'));

describe('darkroom queues, dead and doctor', () => {
  it('list and purge what waits, asking first', async () => {
    await using at = await startInstallation();
    await at.publish({ id: 'waits', input: 'a.jpg', steps: [{ filter: 'flip' }] });

    const listed = JSON.parse((await at.darkroom('queues', 'list', '--json')).stdout) as {
      queue: string;
      messages: number;
    }[];
    const refused = await at.darkroom('queues', 'purge', 'flip');
    const purged = await at.darkroom('queues', 'purge', 'flip', '--yes', '--json');

    expect(listed.find(({ queue }) => queue.endsWith('.flip'))).toMatchObject({ messages: 1, consumers: 0 });
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') });
    expect(JSON.parse(purged.stdout)).toEqual([{ queue: `${at.prefix}.flip`, messages: 1 }]);
  });

  it('show, export and purge dead letters', async () => {
    await using at = await startInstallation();
    await at.worker('flip');
    for (const id of ['one', 'two'])
      await at.publish({ id, input: '../escape.jpg', steps: [{ filter: 'flip' }] });
    await at.ended('one');
    await at.ended('two');
    const file = join(await folder(), 'letters.jsonl');

    const shown = await at.darkroom('dead', 'show', 'one', '--json');
    const exported = await at.darkroom('dead', 'export', file, '--filter', 'flip');
    const purged = await at.darkroom('dead', 'purge', '--id', 'one', '--yes', '--json');
    const left = await at.darkroom('dead', 'list', '--json');

    expect(JSON.parse(shown.stdout)).toMatchObject({
      id: 'one',
      filter: 'flip',
      failure_type: 'input-forbidden',
    });
    expect(exported.code).toBe(0);
    expect((await readFile(file, 'utf8')).trim().split('\n')).toHaveLength(2);
    expect(JSON.parse(purged.stdout).purged).toHaveLength(1);
    expect(JSON.parse(left.stdout)).toMatchObject([{ id: 'two' }]);
  });

  it('say what is not declared, and how to mend that; the rest goes on', async () => {
    await using at = await startInstallation();
    await at.publish({ id: 'waits', input: 'a.jpg', steps: [{ filter: 'flip' }] });
    await at.broker.withChannel(async (channel) => {
      await channel.deleteQueue(at.names.dead);
      await channel.deleteQueue(at.names.queue('blur'));
      await channel.deleteExchange(at.names.events);
    });

    const purged = await at.darkroom('queues', 'purge', 'blur', 'flip', '--yes', '--json');
    const letters = await Promise.all(
      [['list'], ['show', 'x'], ['replay'], ['purge', '--yes'], ['export', join(await folder(), 'x')]].map(
        (args) => at.darkroom('dead', ...args),
      ),
    );
    const cancelled = await at.darkroom('cancel', 'x');

    expect(purged.code).toBe(1);
    expect(JSON.parse(purged.stdout)).toMatchObject([
      { messages: 0, why: expect.stringMatching(/no queue/) },
      { messages: 1 },
    ]);
    for (const { code, stderr } of [...letters, cancelled]) {
      expect(code).toBe(2);
      expect(stderr).toMatch(/darkroom queues declare/);
    }
  });

  it('find nothing wrong where nothing is, and say how to fix what is', async () => {
    await using at = await startInstallation();

    const well = await at.darkroom('doctor', '--json');
    const ill = await runDarkroom(['doctor', '--json'], {
      ...at.env,
      AMQP_URL: 'amqp://guest:wrong@127.0.0.1:1',
      STORAGE_URL: 'ftp://nowhere',
    });

    expect(
      JSON.parse(well.stdout).filter(({ verdict }: { verdict: string }) => verdict === 'failed'),
    ).toEqual([]);
    expect(well.code).toBe(0);
    expect(ill.code).toBe(1);
    expect(JSON.parse(ill.stdout)).toContainEqual(
      expect.objectContaining({
        name: 'broker',
        verdict: 'failed',
        fix: expect.stringContaining('AMQP_URL'),
      }),
    );
    expect(ill.stdout).not.toContain('wrong@');
  });

  it('say whom the broker takes them for, whose word counts, and where replies may go', async () => {
    await using at = await startInstallation();
    const examine = async (env: NodeJS.ProcessEnv) =>
      checksOf(await runDarkroom(['doctor', '--json'], { ...at.env, ...env }));
    const user = new URL(at.env.AMQP_URL!).username;

    const shipped = await examine({});
    const open = await examine({ TRUSTED_USERS: `${user},ops`, REPLY_QUEUES: '*' });
    const futile = await examine({ REPLY_QUEUES: `answers,${at.prefix}.blur` });

    expect(shipped.get('user')).toMatchObject({
      verdict: 'ok',
      found: expect.stringMatching(
        new RegExp(`^"${user}" to the broker; .*another user believe "${user}" when`),
      ),
    });
    expect(open.get('user')?.found).toMatch(`believes "${user}" and "ops"`);
    expect(shipped.get('replies')).toMatchObject({ verdict: 'ok', found: expect.stringContaining('amq.*') });
    expect(open.get('replies')).toMatchObject({
      verdict: 'warning',
      fix: expect.stringContaining('REPLY_QUEUES'),
    });
    expect(futile.get('replies')).toMatchObject({
      verdict: 'warning',
      fix: expect.stringContaining(`${at.prefix}.blur`),
    });
  });

  it('say what fits into the memory of a task', async () => {
    const env = { AMQP_URL: 'amqp://127.0.0.1:1', STORAGE_URL: await folder() };
    const examine = async (more: NodeJS.ProcessEnv) =>
      checksOf(await runDarkroom(['doctor', '--json'], { ...env, ...more }));

    const [small, contradicting] = await Promise.all([
      examine({ CHILD_MAX_MEMORY: '384MiB' }),
      examine({ CHILD_MAX_MEMORY: '384MiB', LIMIT_PIXELS: '50000000' }),
    ]);

    expect(small.get('memory')).toMatchObject({
      verdict: 'ok',
      found: expect.stringMatching(/384\.0 MiB .* up to 26\.8 megapixels, AVIF up to 20\.8 \(12\.6 /),
    });
    expect(contradicting.get('configuration')).toMatchObject({
      verdict: 'failed',
      found: expect.stringMatching(/LIMIT_PIXELS \(50000000\) must be at most 26843545/),
    });
  });

  it.each(['ignored', 'racy', 'unknown'] as const)(
    'warn of a storage to which conditional writes are %s, and fail where they are required',
    async (conditionalWrites) => {
      await using server = await startS3Server({ conditionalWrites });
      const env = { AMQP_URL: 'amqp://127.0.0.1:1', STORAGE_URL: server.url, ...server.env };

      const [allowed, required] = await Promise.all([
        runDarkroom(['doctor', '--json'], env),
        runDarkroom(['doctor', '--json'], { ...env, STORAGE_REQUIRE_CONDITIONAL_WRITES: 'true' }),
      ]);

      expect(checksOf(allowed).get('storage')).toMatchObject({
        verdict: 'warning',
        found: expect.stringContaining('ignores conditional writes'),
        fix: expect.stringContaining('If-None-Match'),
      });
      expect(checksOf(required).get('storage')).toMatchObject({ verdict: 'failed' });
    },
  );

  it('send one image end to end', async () => {
    await using at = await startInstallation();
    await at.worker('resize');

    const { code, stdout } = await at.darkroom('smoke', '--wait', '60', '--json');

    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, width: 16, height: 16 });
  });
});

interface Check {
  name: string;
  verdict: string;
  found: string;
  fix?: string;
}

function checksOf({ stdout }: { stdout: string }): Map<string, Check> {
  return new Map((JSON.parse(stdout) as Check[]).map((check) => [check.name, check]));
}

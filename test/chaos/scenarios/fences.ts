/** Inputs and outputs that try to leave the storage or to reach inner addresses: none gets anywhere. */

import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flatPng } from '../../support/pictures.ts';
import { runCounted } from '../../support/run-vitest.ts';
import { words } from '../../support/words.ts';
import { openAuditedInstallation } from '../support/audited-installation.ts';
import type { Scenario, ScenarioOutcome, Stage } from '../support/scenario.ts';

const TABLES = {
  'request forgery': 'test/runtime/storage/ssrf.test.ts',
  'path escapes': 'test/runtime/storage/escapes.test.ts',
};

export const fences: Scenario = {
  name: 'fences',
  shows: 'request forgery and path escapes, through whole workers and by the tables of cases',
  run,
};

async function run({ node, say }: Stage): Promise<ScenarioOutcome> {
  await using bait = await layBait();
  const env = {
    INPUT_HTTPS: 'true',
    INPUT_HTTPS_HOSTS: bait.hosts.join(','),
    RETRY_DELAYS: '50ms',
    INPUT_GRACE: '10ms',
  };
  await using installation = await openAuditedInstallation({ amqpUrl: node.amqpUrl, env });
  await installation.put('photo.png', await flatPng(8, 6));
  await symlink(bait.file, join(installation.folder, 'link.png'));
  await symlink(bait.folder, join(installation.folder, 'linked'));
  const workers = installation.supervise([{ filters: ['flip'] }]);
  await workers.ready();
  const steps = [{ filter: 'flip', params: { direction: 'horizontal' } }];
  const inputs = [...hostileInputs(bait), ...waysOut(bait)].map((input) => ({ input, steps }));
  const outputs = hostileOutputs(bait).map((key) => ({ input: 'photo.png', steps, output: { key } }));
  await installation.submit(
    [...inputs, ...outputs].map((task, n) => ({
      id: `fence-${n}`,
      expect: 'dead letter',
      task: { id: `fence-${n}`, ...task },
    })),
  );
  const outcome = await installation.finish(workers);
  outcome.notes.push(
    `${inputs.length} inputs and ${outputs.length} outputs through a worker: ${bait.requests.length} requests to the inner server, ${outcome.results} results`,
  );
  if (bait.requests.length > 0)
    outcome.faults.push(`the inner server was asked: ${bait.requests.join(', ')}`);
  outcome.faults.push(...(await strangeFiles(installation.home, bait)));
  for (const [name, file] of Object.entries(TABLES)) {
    const { passed, failed } = await runCounted([file], { stdio: 'ignore' });
    outcome.notes.push(`${name}: ${passed} tests of tables hold, ${failed} do not`);
    say(outcome.notes.at(-1)!);
    if (failed > 0 || passed === 0) outcome.faults.push(`${file}: ${passed} passed, ${failed} failed`);
  }
  return outcome;
}

/** An image outside the storage, and a server on loopback that has one too and notes who asks. */
async function layBait() {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-bait-'));
  const file = join(folder, 'secret.png');
  const image = await flatPng(8, 6, 'black');
  await writeFile(file, image);
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(String(request.url));
    response.end(image);
  });
  server.on('connection', (socket) => requests.push(`connection from ${socket.remotePort}`));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  // As careless as an operator can be: every way to write the host is on the list.
  const hosts = words(`127.0.0.1:${port} localhost:${port} [::1]:${port} [::ffff:127.0.0.1]:${port}
    169.254.169.254 metadata.google.internal *`);
  return {
    folder,
    file,
    port,
    hosts,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await rm(folder, { recursive: true });
    },
  };
}

type Bait = Awaited<ReturnType<typeof layBait>>;

function hostileInputs({ file, port }: Bait): string[] {
  const hosts = words(`127.0.0.1 localhost [::1] [::ffff:127.0.0.1] [::ffff:7f00:1] 2130706433 0x7f000001
    0177.0.0.1 127.1 0 127.0.0.1. LOCALHOST ①②⑦.0.0.1 user:password@127.0.0.1 example.com@127.0.0.1`);
  return [
    ...hosts.flatMap((host) => [`https://${host}:${port}/secret.png`, `http://${host}:${port}/secret.png`]),
    ...words(`https://169.254.169.254/latest/meta-data/ https://[fd00:ec2::254]/latest/meta-data/
      https://metadata.google.internal/computeMetadata/v1/ https://10.0.0.1/secret.png
      https://[64:ff9b::7f00:1]/secret.png ftp://127.0.0.1/secret.png data:image/png;base64,AAAA
      s3://other-bucket/secret.png file://${file} ${file} ../..${file} ../../../../../../../..${file}
      photo.png/../../../secret.png link.png linked/secret.png ./photo.png/.. ..\\secret.png C:\\secret.png
      photo.png\u0000.txt .darkroom/ended/x.json .DARKROOM/tasks/x /proc/self/environ //127.0.0.1/secret.png`),
  ];
}

function hostileOutputs({ folder }: Bait): string[] {
  return [
    ...words(`../escaped.png ../../escaped.png ${folder}/escaped.png ..${folder}/escaped.png linked/escaped.png
      a/../../escaped.png a/./../../escaped.png ..\\escaped.png a\u0000/escaped.png .darkroom/escaped.png
      .Darkroom/ended/escaped.json / a//b.png`),
    '',
    'x'.repeat(1_000),
  ];
}

/** Ways up, before every name that lies outside or belongs to the runtime. */
function waysOut({ file }: Bait): string[] {
  const ups = words(
    '.. ../.. ../../../../../.. a/.. a/../.. ./.. . ... ..\\.. %2e%2e ..%2f.. ..; \uff0e\uff0e',
  ).concat('', '.. ');
  const targets = words(`${file} /etc/passwd /proc/self/environ /secret.png /.darkroom/ended
    /storage/../secret.png //etc/passwd`);
  return ups.flatMap((up) => targets.map((target) => `${up}${target}`));
}

/** What should not be there: anything beside the storage and the logs, anything in the bait's folder. */
async function strangeFiles(home: string, bait: Bait): Promise<string[]> {
  const beside = (await readdir(home)).filter((name) => name !== 'storage' && name !== 'logs');
  const outside = (await readdir(bait.folder)).filter((name) => name !== 'secret.png');
  const bytes = await readFile(bait.file);
  const results = await readdir(join(home, 'storage', 'out')).catch(() => []);
  return [...beside, ...outside, ...results]
    .map((name) => `${name} is where nothing should be`)
    .concat(bytes.length === 0 ? ['the bait was overwritten'] : []);
}

/** The storage fails: a full disk, an S3 that answers 500, slowly, or not to the end. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { openStorage } from '../../../runtime/storage/open.ts';
import { type S3Fault, startS3Server } from '../../support/s3-server.ts';
import { openAuditedInstallation } from '../support/audited-installation.ts';
import {
  addOutcomes,
  noFigures,
  type Scenario,
  type ScenarioOutcome,
  type Stage,
} from '../support/scenario.ts';
import { oneFilterEach, setUpScenario } from '../support/scenario-setup.ts';
import { makeTasks, prepareTaskKinds } from '../support/tasks.ts';

const run = promisify(execFile);
const DISK_BYTES = 3 * 1_048_576;
/** Together longer than the storage fails. */
const RETRY_DELAYS = '500ms,1s,2s,2s,2s,4s,4s,8s,8s,8s';

export const storage: Scenario = {
  name: 'storage',
  shows: 'result disk full; S3 answering 500, slowly, and cut off',
  run: async (stage) => addOutcomes([await diskFull(stage), await failingS3(stage)]),
};

async function diskFull({ choose, node, random, say }: Stage): Promise<ScenarioOutcome> {
  const count = choose(30, 200);
  const fullMs = choose(2_500, 10_000);
  await using disk = await smallDisk();
  if (disk === undefined) {
    say('NOT RUN: a full disk needs root, to mount a small file system');
    const notes = ['DISK FULL WAS NOT RUN: it needs root, to mount a small file system'];
    return { ...noFigures(), notes, faults: [] };
  }
  const options = { amqpUrl: node.amqpUrl, env: { RETRY_DELAYS }, storageFolder: disk.folder };
  await using setup = await setUpScenario(options, random);
  const { installation, workers, kinds } = setup;
  const retried = await installation.follow('retrying');
  const filler = join(disk.folder, 'filler');
  await fill(filler);
  await installation.submit(makeTasks('full', count, kinds, random));
  await sleep(fullMs);
  const early = installation.ledger.submitted - installation.ledger.open;
  await rm(filler);
  const outcome = await installation.finish(workers);
  const reasons = new Set(retried.map(({ data }) => String(data.failure_type)));
  outcome.notes.push(
    `disk full for ${fullMs / 1_000} s: ${retried.length} retries (${[...reasons].join(', ')}), ${early} tasks ended meanwhile`,
  );
  if (retried.length === 0) outcome.faults.push('the full disk was never noticed');
  return outcome;
}

async function failingS3({ choose, node, random, say }: Stage): Promise<ScenarioOutcome> {
  const count = choose(20, 150);
  const holdMs = choose(1_500, 15_000);
  await using server = await startS3Server();
  const credentials = server.credentials;
  const bucket = await openStorage(server.url, { credentials });
  const env = { ...server.env, STORAGE_URL: server.url, RETRY_DELAYS };
  const readResult = (key: string) => bucket.read(key).catch(() => undefined);
  await using installation = await openAuditedInstallation({ amqpUrl: node.amqpUrl, env, readResult });
  const kinds = await prepareTaskKinds(
    { put: async (key, bytes) => void (await bucket.write(key, bytes)) },
    random,
  );
  const workers = installation.supervise(oneFilterEach(1));
  await workers.ready();
  const retried = await installation.follow('retrying');
  const faults: Record<string, S3Fault> = {
    'answers 500': { kind: 'status', status: 500 },
    'answers 503 SlowDown': { kind: 'status', status: 503, code: 'SlowDown' },
    'takes a second': { kind: 'slow', delayMs: 1_000 },
    'breaks off': { kind: 'cut' },
    'breaks off in the body': { kind: 'cut', afterBytes: 10 },
  };
  const notes: string[] = [];
  for (const [name, fault] of Object.entries(faults)) {
    const before = retried.length;
    server.fault(fault);
    await installation.submit(makeTasks(name.replaceAll(' ', '-').toLowerCase(), count, kinds, random));
    await sleep(holdMs);
    server.fault(undefined);
    await installation.settled();
    notes.push(`S3 ${name} for ${holdMs / 1_000} s: ${retried.length - before} retries`);
    say(notes.at(-1)!);
  }
  const outcome = await installation.finish(workers);
  outcome.notes.push(...notes);
  return outcome;
}

/** A file system of a few megabytes, or undefined where one cannot be mounted. */
async function smallDisk(): Promise<(AsyncDisposable & { folder: string }) | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-disk-'));
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', folder]).catch(
    () => undefined,
  );
  if (mounted === undefined) {
    await rm(folder, { recursive: true });
    return undefined;
  }
  return {
    folder,
    async [Symbol.asyncDispose]() {
      await run('umount', ['--lazy', folder]);
      await rm(folder, { recursive: true });
    },
  };
}

/** Writes until nothing more goes in. */
async function fill(file: string): Promise<void> {
  for (let size = 65_536; size >= 1; size = Math.floor(size / 2))
    for (;;) {
      const written = await writeFile(file, Buffer.alloc(size), { flag: 'a' }).then(
        () => true,
        () => false,
      );
      if (!written) break;
    }
}

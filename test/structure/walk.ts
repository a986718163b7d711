/** The walk of one task: every function of ours that starts between its delivery and its ack, in a real run. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startInstallation } from '../support/installation.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';
import { entryOf, type FunctionEntry } from './mark-entries.ts';

export interface WalkStep extends FunctionEntry {
  process: 'parent' | 'child';
  /** Since the delivery. */
  atMs: number;
}

const RECORDER = new URL('entry-recorder.ts', import.meta.url).href;
const PHOTO = new URL('../fixtures/photos/rocket.jpg', import.meta.url);
/** A worker loads its telemetry one second after its start. The walk is that of a worker which has it. */
const TELEMETRY_LOADED_MS = 2_000;
const OURS = /^(functions|runtime|keda|helm|test)\//;

/** A worker does one resize to warm up, and a second one to be looked at. */
export async function walkOfOneTask(amqpUrl: string): Promise<WalkStep[]> {
  await using folder = await temporaryFolder();
  await using installation = await startInstallation({ amqpUrl });
  const worker = await installation.worker('resize', {
    NODE_OPTIONS: `--import=${RECORDER}?folder=${encodeURIComponent(folder.path)}`,
    // Marked code must not be cached in place of the real one.
    NODE_DISABLE_COMPILE_CACHE: '1',
  });
  const entries = () => readEntries(folder.path, worker.process.pid!);
  await installation.put('photo.jpg', await readFile(PHOTO));
  await sleep(TELEMETRY_LOADED_MS);
  const step = { filter: 'resize', params: { width: 64 } };
  await installation.publish({ id: 'warm-up', input: 'photo.jpg', steps: [step] });
  await until(async () => deliveries(await entries()).length === 1, 'the ack of the first task');
  await installation.publish({ id: 'walk', input: 'photo.jpg', steps: [step] });
  return await until(async () => deliveries(await entries())[1], 'the ack of the second task');
}

/** For each delivery that was acked, what started from then to the ack. */
function deliveries(entries: WalkStep[]): WalkStep[][] {
  const at = (name: string) => entries.filter((entry) => entry.name === name).map(({ atMs }) => atMs);
  const acks = at('Channel.ack');
  return at('BaseChannel.dispatchMessage').flatMap((deliveredMs, number) => {
    const ackedMs = acks[number];
    if (ackedMs === undefined) return [];
    const during = entries.filter(({ atMs }) => atMs >= deliveredMs && atMs <= ackedMs);
    return [
      during
        .filter(({ path }) => OURS.test(path))
        .map((entry) => ({ ...entry, atMs: entry.atMs - deliveredMs })),
    ];
  });
}

/** What the recorder wrote in all processes, by time. */
async function readEntries(folder: string, parentPid: number): Promise<WalkStep[]> {
  const files = await readdir(folder);
  const entries = await Promise.all(
    files.map(async (file) => {
      const lines = (await readFile(join(folder, file), 'utf8')).split('\n').slice(0, -1);
      return lines.map((line): WalkStep => {
        const [at, ...report] = line.split('\t');
        const process = Number.parseInt(file, 10) === parentPid ? 'parent' : 'child';
        return { ...entryOf(report.join('\t')), process, atMs: Number(at) / 1e6 };
      });
    }),
  );
  return entries.flat().sort((a, b) => a.atMs - b.atMs);
}

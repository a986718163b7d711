/** The child's entry: loads the image library and the filters, does the jobs its parent sends, one at a time. */
import { writeFileSync } from 'node:fs';
import { asError, UserError } from '../errors.ts';
import { loadFunction } from '../functions.ts';
import { redactText } from '../redact.ts';
import { openInputs } from '../storage/inputs.ts';
import { openStorage } from '../storage/open.ts';
import { readMarker, removeIntermediates } from '../task/task-marker.ts';
import { isCarried } from './carry.ts';
import { markFailed } from './finish-task.ts';
import { inputBuffer } from './input-buffer.ts';
import { dieWithParent } from './parent-death.ts';
import type { Job, Request, Response, StepResult } from './protocol.ts';
import { leaveStep, runStep } from './run-step.ts';
import type { StepResources } from './step-resources.ts';
import { learnOfFirstWrite, requireFirstWrite, type StorageCheck } from './storage-check.ts';

/** What the parent hands over at start; nothing else of the environment is read here. */
export interface ChildSettings {
  functions: string[];
  functionsDir: string;
  storageUrl: string | undefined;
  buckets: string[];
  https: { enabled: boolean; hosts: string[] };
  limits: StepResources['limits'];
  inputGraceMs: number;
  storageCheck?: StorageCheck | undefined;
}

/** How often a long job looks whether its task was cancelled. */
const CANCEL_POLL_MS = 1_000;
let lookedAtMs = 0;

await main();

async function main(): Promise<void> {
  dieWithParent(Number(process.argv[3]), process.argv[4] === 'bound');
  dieBeforeTheParent();
  const settings = JSON.parse(process.argv[2] ?? '{}') as ChildSettings;
  const opening = openResources(settings);
  process.on('message', (request: Request) => {
    void opening
      .then((resources) => answer(request, resources))
      .then(send, (error: unknown) =>
        send({ type: 'error', seq: request.seq, message: asError(error).message }),
      );
  });
  // Without waiting for what the image library is at.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  // systemd, for one, tells every process of a service to end. The parent decides when this one does.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  try {
    const { storage } = await opening;
    await Promise.all(settings.functions.map((name) => loadFunction(name, settings.functionsDir)));
    if (settings.storageCheck === 'required') await requireFirstWrite(storage);
    send({ type: 'ready' });
    if (settings.storageCheck !== 'required') learnOfFirstWrite(storage, settings.storageCheck === 'told');
  } catch (thrown) {
    const error = asError(thrown);
    if (!(error instanceof UserError)) throw error;
    process.send?.({ type: 'broken', message: redactText(error.message) } satisfies Response, () =>
      process.exit(2),
    );
  }
}

/** Should memory run out, the kernel is to take this process and not its parent. */
function dieBeforeTheParent(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '900');
  } catch {
    // Only Linux knows this.
  }
}

async function openResources(settings: ChildSettings): Promise<StepResources> {
  const storage = await openStorage(settings.storageUrl);
  const inputs = openInputs({ storage, buckets: settings.buckets, https: settings.https });
  return {
    storage,
    inputs,
    limits: settings.limits,
    functionsDir: settings.functionsDir,
    inputGraceMs: settings.inputGraceMs,
    inputRoom: inputBuffer(settings.limits.inputBytes),
    waiting: undefined,
  };
}

async function answer(request: Request, resources: StepResources): Promise<Response> {
  switch (request.type) {
    case 'run':
      return {
        type: 'ran',
        seq: request.seq,
        result: await run(request.job, resources),
        rssBytes: process.memoryUsage.rss(),
      };
    case 'leave':
      return {
        type: 'ran',
        seq: request.seq,
        result: await leaveStep(request.job, resources, new AbortController().signal),
        rssBytes: process.memoryUsage.rss(),
      };
    case 'mark':
      return {
        type: 'marked',
        seq: request.seq,
        standing: await markFailed(request.task, request.marker, request.replace, resources),
      };
    case 'clean':
      await removeIntermediates(resources.storage, request.task);
      return { type: 'cleaned', seq: request.seq };
  }
}

/** The step, unless its task is cancelled first: then the answer goes at once and the parent replaces us. */
async function run(job: Job, resources: StepResources): Promise<StepResult> {
  const abort = new AbortController();
  const cancelled = Promise.withResolvers<StepResult>();
  const look = async () => {
    lookedAtMs = performance.now();
    const marker = await readMarker(resources.storage, job.task.id, job.generation).catch(() => undefined);
    if (marker?.outcome !== 'cancelled') return;
    abort.abort(new Error('The task was cancelled.'));
    cancelled.resolve({ kind: 'ended', marker, abandoned: true });
  };
  const timer = setInterval(look, CANCEL_POLL_MS);
  if (!isCarried(job)) lookedAtMs = performance.now();
  else if (performance.now() - lookedAtMs > CANCEL_POLL_MS) void look();
  try {
    return await Promise.race([runStep(job, resources, abort.signal), cancelled.promise]);
  } finally {
    clearInterval(timer);
  }
}

function send(response: Response): void {
  process.send?.(response);
}

/** A storage in a folder of its own, with one photo, for steps that run in this process. */
import sharp from 'sharp';
import { FUNCTIONS_DIR } from '../../../runtime/functions.ts';
import { DEFAULT_LIMITS } from '../../../runtime/image/limits.ts';
import { openInputs } from '../../../runtime/storage/inputs.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import type { Storage } from '../../../runtime/storage/storage.ts';
import { parseTask } from '../../../runtime/task/task.ts';
import { inputBuffer } from '../../../runtime/worker/input-buffer.ts';
import type { Job, StepResult } from '../../../runtime/worker/protocol.ts';
import { runStep } from '../../../runtime/worker/run-step.ts';
import type { StepResources } from '../../../runtime/worker/step-resources.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const NEVER = new AbortController().signal;

export interface StepSite extends AsyncDisposable {
  folder: string;
  storage: Storage;
  resources: StepResources;
  run(job: Job): Promise<StepResult>;
}

/** @param elsewhere a storage to use instead of one in the folder */
export async function openStepSite(elsewhere?: Storage): Promise<StepSite> {
  const folder = await temporaryFolder();
  const storage = elsewhere ?? (await openStorage(folder.path));
  const resources: StepResources = {
    storage,
    inputs: openInputs({ storage }),
    limits: DEFAULT_LIMITS,
    functionsDir: FUNCTIONS_DIR,
    inputGraceMs: 0,
    inputRoom: inputBuffer(DEFAULT_LIMITS.inputBytes),
    waiting: undefined,
  };
  const noise = { type: 'gaussian' as const, mean: 128, sigma: 40 };
  const photo = await sharp({ create: { width: 24, height: 16, channels: 3, background: 'red', noise } })
    .png()
    .toBuffer();
  await storage.write('a.png', photo);
  return {
    folder: folder.path,
    storage,
    resources,
    run: (job) => runStep(job, resources, NEVER),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

export const FLIP = { filter: 'flip' };
export const GREY = { filter: 'grayscale' };

export function stepJob(task: object, more: Partial<Job> = {}): Job {
  const body = Buffer.from(JSON.stringify({ id: 'x', input: 'a.png', ...task }));
  const parsed = parseTask({ body, properties: { contentType: 'application/json' }, headers: {} }, 'flip');
  return {
    task: parsed.task,
    step: 0,
    fromStep: more.step ?? 0,
    carry: 'none',
    generation: 0,
    attempt: 0,
    isRepeat: false,
    isRestart: false,
    wantsImage: false,
    waitingSinceMs: null,
    history: [],
    queueMs: null,
    about: {},
    ...more,
  };
}

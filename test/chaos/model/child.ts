/** A worker's child: the real steps and markers over the model's storage, until it is killed. */

import { DEFAULT_LIMITS } from '../../../runtime/image/limits.ts';
import type { Inputs } from '../../../runtime/storage/inputs.ts';
import { removeIntermediates } from '../../../runtime/task/task-marker.ts';
import type { Child } from '../../../runtime/worker/child-process.ts';
import { markFailed } from '../../../runtime/worker/finish-task.ts';
import { inputBuffer } from '../../../runtime/worker/input-buffer.ts';
import type { StepResult } from '../../../runtime/worker/protocol.ts';
import { leaveStep, runStep } from '../../../runtime/worker/run-step.ts';
import type { StepResources } from '../../../runtime/worker/step-resources.ts';
import { type Objects, storageOf } from './storage.ts';
import { beginLife, type Choices, type Life, type Turns } from './virtual-time.ts';

export interface ModelChild {
  child: Child;
  /** kill -9 or a deadline: what it had begun never happens, and the next child is there. */
  kill(): void;
}

const NEVER = new AbortController().signal;
const LOST: StepResult = {
  kind: 'failed',
  consequence: 'retry',
  failureType: 'child-lost',
  message: 'The child process died while working.',
};

/**
 * The end of the parent leaves the child running: it may still write what it had begun.
 * @param unmarked takes the tasks whose failure could not be marked
 */
export function startModelChild(
  objects: Objects,
  turns: Turns,
  choices: Choices,
  unmarked: Set<string>,
): ModelChild {
  let life = beginLife();
  /** In the memory of the present life. */
  let memory: Pick<StepResources, 'waiting'> = { waiting: undefined };

  /** `lost` when this life ends first. */
  function orLost<T>(work: (resources: StepResources) => Promise<T>, lost: T): Promise<T> {
    const mine: Life = life;
    const storage = storageOf(objects, turns, mine, choices);
    const inputs: Inputs = { read: (key) => storage.read(key), keyOf: (key) => key };
    const resources: StepResources = Object.assign(memory, {
      storage,
      inputs,
      limits: DEFAULT_LIMITS,
      functionsDir: '',
      inputGraceMs: 0,
      inputRoom: inputBuffer(DEFAULT_LIMITS.inputBytes),
    });
    return new Promise((resolve, reject) => {
      mine.atEnd(() => resolve(lost));
      work(resources).then(resolve, reject);
    });
  }

  function kill(): void {
    const old = life;
    life = beginLife();
    memory = { waiting: undefined };
    old.end();
  }

  const child: Child = {
    run: (job) => orLost((resources) => runStep(job, resources, NEVER), LOST),
    leave: (job) => orLost((resources) => leaveStep(job, resources, NEVER), LOST),
    async mark(task, marker, replace) {
      const standing = await orLost(
        (resources) => markFailed(task, marker, replace, resources).catch(() => undefined),
        undefined,
      );
      if (standing === undefined) unmarked.add(marker.task_id);
      return standing;
    },
    clean: (task) => orLost(({ storage }) => removeIntermediates(storage, task).catch(() => {}), undefined),
    kill,
    close: async () => {},
    pid: undefined,
    healthy: true,
    restarts: 0,
  };
  return { child, kill };
}

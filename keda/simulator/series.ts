/** Collects a simulation's values in equal steps of time, few enough to draw. */

/** One value a step; step i covers [i·stepMs, (i+1)·stepMs). */
export interface Series {
  stepMs: number;
  /** Wanted replicas, at their highest in the step. */
  replicas: number[];
  /** Pods that exist: starting, at work and draining. Mean over the step. */
  pods: number[];
  /** Busy slots, mean over the step. */
  busy: number[];
  /** Messages waiting, at their most in the step. */
  depth: number[];
  /** Messages a second. */
  arrived: number[];
  completed: number[];
}

/** What holds from one event to the next. */
export interface QueueLevel {
  replicas: number;
  pods: number;
  busy: number;
  depth: number;
}

/** Steps begin this short; when there are too many, two become one. */
const FIRST_STEP_MS = 1_000;
const MOST_STEPS = 1_440;

interface Step extends QueueLevel {
  arrived: number;
  completed: number;
}

export class SeriesRecorder {
  #stepMs = FIRST_STEP_MS;
  #steps: Step[] = [];
  #open: Step = empty();
  #nowMs = 0;

  /** Time passes to `nowMs`, all of it at `level`. */
  advance(nowMs: number, level: QueueLevel): void {
    let end = (this.#steps.length + 1) * this.#stepMs;
    while (nowMs >= end) {
      this.#hold(end, level);
      this.#close();
      end = (this.#steps.length + 1) * this.#stepMs;
    }
    this.#hold(nowMs, level);
  }

  countArrival(): void {
    this.#open.arrived++;
  }

  countCompletion(): void {
    this.#open.completed++;
  }

  /** One more step shows how the run ended. */
  finish({ replicas, pods }: QueueLevel): Series {
    this.#close();
    this.#steps.push({ ...empty(), replicas, pods: pods * this.#stepMs });
    const stepMs = this.#stepMs;
    const column = (pick: (step: Step) => number) => this.#steps.map(pick);
    return {
      stepMs,
      replicas: column(({ replicas }) => replicas),
      pods: column(({ pods }) => pods / stepMs),
      busy: column(({ busy }) => busy / stepMs),
      depth: column(({ depth }) => depth),
      arrived: column(({ arrived }) => (arrived * 1_000) / stepMs),
      completed: column(({ completed }) => (completed * 1_000) / stepMs),
    };
  }

  #hold(untilMs: number, level: QueueLevel): void {
    const open = this.#open;
    const elapsedMs = untilMs - this.#nowMs;
    open.busy += level.busy * elapsedMs;
    open.pods += level.pods * elapsedMs;
    if (level.depth > open.depth) open.depth = level.depth;
    if (level.replicas > open.replicas) open.replicas = level.replicas;
    this.#nowMs = untilMs;
  }

  #close(): void {
    this.#steps.push(this.#open);
    this.#open = empty();
    if (this.#steps.length < MOST_STEPS) return;
    this.#steps = this.#steps.flatMap((step, index, all) =>
      index % 2 === 0 ? [joined(step, all[index + 1] ?? empty())] : [],
    );
    this.#stepMs *= 2;
  }
}

function empty(): Step {
  return { replicas: 0, pods: 0, busy: 0, depth: 0, arrived: 0, completed: 0 };
}

function joined(a: Step, b: Step): Step {
  return {
    replicas: Math.max(a.replicas, b.replicas),
    depth: Math.max(a.depth, b.depth),
    pods: a.pods + b.pods,
    busy: a.busy + b.busy,
    arrived: a.arrived + b.arrived,
    completed: a.completed + b.completed,
  };
}

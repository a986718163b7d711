/** The pods of one function and the tasks in their slots: starting, waiting for work, working, draining. */

export interface SimulatedTask {
  /** Index of its message. */
  message: number;
  /** What is left of it, in milliseconds of a task that is alone in its pod. */
  leftMs: number;
}

export interface Pod {
  id: number;
  state: 'starting' | 'up' | 'gone';
  /** Asked to go; finishes what it has. */
  draining: boolean;
  /** In its slots. */
  tasks: SimulatedTask[];
  /** When what is left was last counted. */
  countedMs: number;
  /** When the next of its tasks is done; Infinity without any. */
  doneMs: number;
  /** When a draining pod gives its tasks back. */
  deadlineMs: number;
}

export interface FleetOptions {
  /** Tasks that a pod takes at once. */
  slots: number;
  /** How much longer a task takes beside others, by how many there are. */
  stretch: readonly number[];
  /** true: scale-in takes the least busy pods first (pod-deletion-cost). false: any ready pod, at random. */
  preferIdle: boolean;
  random: () => number;
}

export class Fleet {
  readonly #options: FleetOptions;
  /** All that still exist, draining ones too. */
  readonly #pods = new Set<Pod>();
  /** Free slots in the order in which the broker serves their consumers; entries may be out of date. */
  #idle: Pod[] = [];
  #nextIdle = 0;
  #made = 0;
  #busy = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#pods.size;
  }

  /** Tasks in work. */
  get busy(): number {
    return this.#busy;
  }

  /** Pods that count as replicas: those not asked to go. */
  get staying(): Pod[] {
    return [...this.#pods].filter(({ draining }) => !draining);
  }

  get working(): Pod[] {
    return [...this.#pods].filter(({ tasks }) => tasks.length > 0);
  }

  add(): Pod {
    const pod: Pod = {
      id: this.#made++,
      state: 'starting',
      draining: false,
      tasks: [],
      countedMs: 0,
      doneMs: Number.POSITIVE_INFINITY,
      deadlineMs: Number.POSITIVE_INFINITY,
    };
    this.#pods.add(pod);
    return pod;
  }

  /** It consumes from now on. */
  open(pod: Pod): void {
    pod.state = 'up';
    for (let slot = 0; slot < this.#options.slots; slot++) this.#idle.push(pod);
  }

  work(pod: Pod, task: SimulatedTask, nowMs: number): void {
    this.#count(pod, nowMs);
    pod.tasks.push(task);
    this.#busy++;
    this.#plan(pod);
  }

  /** The task that is done at `doneMs` leaves the pod. */
  finish(pod: Pod, nowMs: number): SimulatedTask {
    this.#count(pod, nowMs);
    const done = pod.tasks.reduce((least, task) => (task.leftMs < least.leftMs ? task : least));
    pod.tasks.splice(pod.tasks.indexOf(done), 1);
    this.#free(pod, 1);
    this.#plan(pod);
    return done;
  }

  /** All that the pod has in hand is taken from it. */
  giveBack(pod: Pod): SimulatedTask[] {
    const tasks = pod.tasks.splice(0);
    this.#free(pod, tasks.length);
    this.#plan(pod);
    return tasks;
  }

  remove(pod: Pod): void {
    this.#busy -= pod.tasks.length;
    pod.state = 'gone';
    this.#pods.delete(pod);
  }

  /** The pod whose free slot has waited longest, or nothing when all are busy. */
  takeIdle(): Pod | undefined {
    while (this.#nextIdle < this.#idle.length) {
      const pod = this.#idle[this.#nextIdle++] as Pod;
      if (this.#nextIdle > 4_096) this.#forgetServed();
      if (pod.state === 'up' && !pod.draining) return pod;
    }
    return undefined;
  }

  /** Which pods a scale-in takes: those not ready, then the least busy (or any, by options), the newest first. */
  victims(count: number): Pod[] {
    const { preferIdle, random } = this.#options;
    const ranked = this.staying.map((pod) => {
      // Kubernetes takes pods that are not ready before any other.
      const rank = pod.state === 'starting' ? -1 : preferIdle ? pod.tasks.length : 0;
      return { pod, rank, tie: preferIdle ? -pod.id : random() };
    });
    ranked.sort((a, b) => a.rank - b.rank || a.tie - b.tie);
    return ranked.slice(0, count).map(({ pod }) => pod);
  }

  /** Slots that are free wait for the next message; those of a draining pod take none. */
  #free(pod: Pod, slots: number): void {
    this.#busy -= slots;
    for (let slot = 0; slot < slots; slot++) this.#idle.push(pod);
  }

  /** Its tasks have come on since they were last counted, each as fast as so many at once do. */
  #count(pod: Pod, nowMs: number): void {
    const doneMs = (nowMs - pod.countedMs) / this.#stretchOf(pod);
    for (const task of pod.tasks) task.leftMs -= doneMs;
    pod.countedMs = nowMs;
  }

  #plan(pod: Pod): void {
    const leastMs = pod.tasks.reduce(
      (least, { leftMs }) => Math.min(least, leftMs),
      Number.POSITIVE_INFINITY,
    );
    pod.doneMs = pod.countedMs + Math.max(0, leastMs) * this.#stretchOf(pod);
  }

  #stretchOf({ tasks }: Pod): number {
    return this.#options.stretch[tasks.length] ?? 1;
  }

  #forgetServed(): void {
    this.#idle = this.#idle.slice(this.#nextIdle);
    this.#nextIdle = 0;
  }
}

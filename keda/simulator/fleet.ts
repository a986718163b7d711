/** The pods of one function: starting, waiting for work, working, draining. */

export interface Pod {
  id: number;
  state: 'starting' | 'idle' | 'busy' | 'gone';
  /** Asked to go; finishes what it has. */
  draining: boolean;
  /** Index of the message in work. */
  message: number;
  doneMs: number;
  /** When a draining pod gives its task back. */
  deadlineMs: number;
}

export interface FleetOptions {
  /** true: scale-in takes idle pods first (pod-deletion-cost). false: any ready pod, at random. */
  preferIdle: boolean;
  random: () => number;
}

/** Kubernetes takes pods that are not ready before any other. */
const RANK = { starting: 0, idle: 1, busy: 2, gone: 3 } as const;

export class Fleet {
  readonly #options: FleetOptions;
  /** All that still exist, draining ones too. */
  readonly #pods = new Set<Pod>();
  /** Consumers in the order in which the broker serves them; entries may be out of date. */
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

  get busy(): number {
    return this.#busy;
  }

  /** Pods that count as replicas: those not asked to go. */
  get staying(): Pod[] {
    return [...this.#pods].filter(({ draining }) => !draining);
  }

  get working(): Pod[] {
    return [...this.#pods].filter(({ state }) => state === 'busy');
  }

  add(): Pod {
    const pod: Pod = {
      id: this.#made++,
      state: 'starting',
      draining: false,
      message: -1,
      doneMs: 0,
      deadlineMs: 0,
    };
    this.#pods.add(pod);
    return pod;
  }

  rest(pod: Pod): void {
    if (pod.state === 'busy') this.#busy--;
    pod.state = 'idle';
    pod.message = -1;
    this.#idle.push(pod);
  }

  work(pod: Pod, message: number, doneMs: number): void {
    pod.state = 'busy';
    pod.message = message;
    pod.doneMs = doneMs;
    this.#busy++;
  }

  remove(pod: Pod): void {
    if (pod.state === 'busy') this.#busy--;
    pod.state = 'gone';
    this.#pods.delete(pod);
  }

  /** The consumer that has waited longest, or nothing when all are busy. */
  takeIdle(): Pod | undefined {
    while (this.#nextIdle < this.#idle.length) {
      const pod = this.#idle[this.#nextIdle++] as Pod;
      if (this.#nextIdle > 4_096) this.#forgetServed();
      if (pod.state === 'idle' && !pod.draining) return pod;
    }
    return undefined;
  }

  /** Which pods a scale-in takes: those not ready, then idle ones (or any, by options), the newest first. */
  victims(count: number): Pod[] {
    const { preferIdle, random } = this.#options;
    const ranked = this.staying.map((pod) => {
      const rank = preferIdle || pod.state === 'starting' ? RANK[pod.state] : RANK.idle;
      return { pod, rank, tie: preferIdle ? -pod.id : random() };
    });
    ranked.sort((a, b) => a.rank - b.rank || a.tie - b.tie);
    return ranked.slice(0, count).map(({ pod }) => pod);
  }

  #forgetServed(): void {
    this.#idle = this.#idle.slice(this.#nextIdle);
    this.#nextIdle = 0;
  }
}

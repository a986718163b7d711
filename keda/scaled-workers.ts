/** The worker processes of one filter: as many as the scaling model wants. */
import { LocalWorker } from './local-worker.ts';
import { initialState, type Observation, type ScalingSettings, type ScalingState, step } from './model.ts';

const RATE_WINDOW_MS = 5_000;
/** What a worker logs when it has settled a step. */
const SETTLED_MESSAGES = ['step completed', 'task ended', 'task failed'];

export interface ScaledFunction {
  filter: string;
  settings: ScalingSettings;
  /** How far its workers go on with a task's next steps: the value `carry`. As the environment says unless given. */
  carry?: string | undefined;
}

export interface WorkersView {
  filter: string;
  ready: number;
  unacked: number;
  wanted: number;
  running: number;
  /** Workers told to stop that still finish their task. */
  draining: number;
  /** Steps settled in a second, over the last five. */
  perSecond: number;
  settled: number;
  error: string | undefined;
  reason: string;
}

export interface ScaledWorkersOptions {
  /** Ready and unacknowledged messages of a filter's queue; throws when the broker cannot be asked. */
  observe(filter: string): Promise<{ ready: number; unacked: number }>;
  /** Program and arguments that run one worker of a filter. It logs JSON lines and drains on SIGTERM. */
  workerCommand(filter: string): readonly [string, ...string[]];
  /** Environment of the workers: broker, storage, limits. Slots come from the settings. */
  env: NodeJS.ProcessEnv;
  /** Called for every change, and for every worker that ends by itself. */
  log?: (entry: { filter: string; text: string }) => void;
}

export class ScaledWorkers {
  readonly #filter: string;
  readonly #settings: ScalingSettings;
  readonly #options: ScaledWorkersOptions;
  readonly #env: NodeJS.ProcessEnv;
  readonly #clockMs: () => number;
  readonly #workers = new Set<LocalWorker>();
  #state: ScalingState;
  #seen: { ready: number; unacked: number; error: string | undefined } = {
    ready: 0,
    unacked: 0,
    error: undefined,
  };
  #reason = '';
  #settled = 0;
  #settledAtMs: number[] = [];

  /** @param clockMs the model's clock */
  constructor(
    { filter, settings, carry }: ScaledFunction,
    options: ScaledWorkersOptions,
    clockMs: () => number,
  ) {
    this.#filter = filter;
    this.#settings = settings;
    this.#options = options;
    this.#env = {
      ...options.env,
      SLOTS: String(settings.slots),
      ...(carry !== undefined && { CARRY: carry }),
    };
    this.#clockMs = clockMs;
    this.#state = initialState(clockMs(), settings.minReplicas);
  }

  /** Asks the model how many workers there should be. */
  async decide(): Promise<void> {
    const decision = step(this.#state, await this.#look(), this.#settings);
    if (decision.replicas !== this.#state.replicas) {
      const why = decision.reasons.map(({ text }) => text).join('; ');
      this.#log(`${this.#state.replicas} → ${decision.replicas}: ${why}`);
    }
    this.#state = decision.state;
    this.#reason = decision.reasons.at(-1)?.text ?? this.#reason;
  }

  /** Makes the processes as many as wanted; a worker that died is replaced, as a Deployment would. */
  async follow(): Promise<void> {
    const surplus = this.#running().length - this.#state.replicas;
    for (let missing = -surplus; missing > 0; missing--) this.#startWorker();
    if (surplus <= 0) return;
    for (const worker of (await this.#leastBusyFirst()).slice(0, surplus)) void worker.end();
  }

  async endAll(): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => worker.end()));
  }

  view(): WorkersView {
    const sinceMs = Date.now() - RATE_WINDOW_MS;
    this.#settledAtMs = this.#settledAtMs.filter((atMs) => atMs > sinceMs);
    const running = this.#running().length;
    return {
      filter: this.#filter,
      ...this.#seen,
      wanted: this.#state.replicas,
      running,
      draining: this.#workers.size - running,
      perSecond: (this.#settledAtMs.length * 1_000) / RATE_WINDOW_MS,
      settled: this.#settled,
      reason: this.#reason,
    };
  }

  async #look(): Promise<Observation> {
    const statusReplicas = this.#running().length;
    try {
      const { ready, unacked } = await this.#options.observe(this.#filter);
      this.#seen = { ready, unacked, error: undefined };
    } catch (error) {
      this.#seen.error = error instanceof Error ? error.message : String(error);
    }
    return { nowMs: this.#clockMs(), statusReplicas, ...this.#seen };
  }

  #startWorker(): void {
    const [program, ...args] = this.#options.workerCommand(this.#filter);
    const worker = new LocalWorker(program, args, this.#env, {
      onLog: (message) => this.#countSettled(message),
      onError: (line) => this.#log(line),
    });
    this.#workers.add(worker);
    void worker.ended.then((how) => {
      this.#workers.delete(worker);
      if (!worker.isStopping) this.#log(`a worker ended by itself (${how}); another takes its place`);
    });
  }

  #countSettled(message: unknown): void {
    if (!SETTLED_MESSAGES.includes(String(message))) return;
    this.#settled++;
    this.#settledAtMs.push(Date.now());
  }

  #running(): LocalWorker[] {
    return [...this.#workers].filter(({ isStopping }) => !isStopping);
  }

  /** Those with the fewest tasks in hand go first, as pod-deletion-cost arranges on a cluster. */
  async #leastBusyFirst(): Promise<LocalWorker[]> {
    const judged = await Promise.all(
      this.#running().map(async (worker) => ({ worker, tasks: (await worker.tasksInHand()) ?? Infinity })),
    );
    return judged.sort((a, b) => (a.tasks === b.tasks ? 0 : a.tasks - b.tasks)).map(({ worker }) => worker);
  }

  #log(text: string): void {
    this.#options.log?.({ filter: this.#filter, text });
  }
}

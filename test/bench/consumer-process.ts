/** A process that consumes the tasks of an installation of its own, started when they are all in the queue. */
import { fileURLToPath } from 'node:url';
import { Installation, type InstallationOptions } from '../support/installation.ts';
import { AskedProcess } from './asked-process.ts';
import { Completions } from './completions.ts';
import type { Contestant } from './turns.ts';

/** Those of `test/fixtures/functions`. */
export const NOOP = 'noop';
export const NOOP_FUNCTIONS = fileURLToPath(new URL('../fixtures/functions', import.meta.url));
/** More at once than a client of the broker keeps. */
const BATCH = 5_000;

/** What consumes: a bare consumer, or the real slot of a worker over a child that answers at once. */
type ConsumerKind = 'bare-consumer' | 'idle-worker';

export interface ConsumerOptions extends Pick<InstallationOptions, 'amqpUrl'> {
  kind: ConsumerKind;
  /** Tasks that still wait when those that count are done. */
  waiting?: number;
}

/** Counts tasks a second. */
export class ConsumerProcess implements Contestant {
  readonly #installation: Installation;
  readonly #options: ConsumerOptions;
  #completions: Completions | undefined;
  #published = 0;

  private constructor(options: ConsumerOptions) {
    this.#options = options;
    const env = { FUNCTIONS_DIR: NOOP_FUNCTIONS };
    this.#installation = new Installation({ amqpUrl: options.amqpUrl, env, word: 'bench' });
  }

  static async open(options: ConsumerOptions): Promise<ConsumerProcess> {
    const consumer = new ConsumerProcess(options);
    await consumer.#installation.open();
    consumer.#completions = await Completions.of(consumer.#installation);
    return consumer;
  }

  /** @returns tasks a second, from the first completion on, so that the start does not count */
  async run(tasks: number): Promise<number> {
    const completions = this.#completions!;
    const before = completions.count;
    // Those that wait are published once: what is taken is made up for behind them.
    const waiting = this.#published === 0 ? (this.#options.waiting ?? 0) : 0;
    await this.#publish(tasks + waiting);
    const reached = Promise.all([completions.reach(before + 1), completions.reach(before + tasks)]);
    const consumer = new AskedProcess(process.execPath, this.#command, {
      env: this.#installation.env,
      isHeard: false,
    });
    try {
      const [first, last] = await reached;
      return ((tasks - 1) * 1_000) / (last - first);
    } finally {
      await consumer[Symbol.asyncDispose]();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#installation[Symbol.asyncDispose]();
  }

  get #command(): string[] {
    const { kind } = this.#options;
    const { names } = this.#installation;
    const script = fileURLToPath(new URL(`peers/${kind}.ts`, import.meta.url));
    const consumes = {
      'bare-consumer': [names.queue(NOOP), names.events, 'task.completed'],
      'idle-worker': [NOOP],
    };
    return [script, ...consumes[kind]];
  }

  async #publish(tasks: number): Promise<void> {
    for (const end = this.#published + tasks; this.#published < end; ) {
      const length = Math.min(BATCH, end - this.#published);
      const ids = Array.from({ length }, () => `noop-${this.#published++}`);
      const steps = [{ filter: NOOP }];
      await Promise.all(ids.map((id) => this.#installation.publish({ id, input: 'dot.png', steps })));
    }
  }
}

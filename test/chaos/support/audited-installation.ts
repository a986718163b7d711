/** A Darkroom under test whose every task is in a ledger: what is submitted, what becomes of it, and whether that is right. */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker, Delivery, PublishProperties } from '../../../runtime/amqp/broker.ts';
import { inspectTopology } from '../../../runtime/amqp/topology.ts';
import { topologyOf } from '../../../runtime/cli/session.ts';
import { TASKS_FOLDER } from '../../../runtime/task/task-marker.ts';
import { Installation, type InstallationOptions } from '../../support/installation.ts';
import { Ledger, type Submission } from '../../support/ledger.ts';
import { eventMessageOf, type TaskEventMessage } from '../../support/task-events.ts';
import { audit, firstOf } from './audit.ts';
import { endOfReply, LEDGER_HEADER, letterOf } from './ledger-messages.ts';
import type { ScenarioOutcome } from './scenario.ts';
import { WorkerProcesses, type WorkerProcessesOptions, type WorkerSpec } from './worker-processes.ts';

const BATCH = 500;
const POLL_MS = 100;
const QUIET_LOOKS = 3;

export interface Assignment extends Submission {
  /** Sent as JSON, or as it is when it is a Buffer. */
  task: object;
  properties?: PublishProperties;
  /** The task's id, where the reply goes somewhere else and its event tells the ending. */
  toldAs?: string | undefined;
}

export interface AuditedInstallationOptions extends InstallationOptions {
  /** How to read a result. Default: from the folder. */
  readResult?: (key: string) => Promise<Buffer | undefined>;
  /**
   * Endings are told by replies, which name the message they belong to even where its task's id cannot be known
   * beforehand. Default: by events.
   */
  byReply?: boolean;
  /** Nobody reads the dead letters before {@link AuditedInstallation.readLetters}. */
  lettersUnread?: boolean;
}

export async function openAuditedInstallation(
  options: AuditedInstallationOptions,
): Promise<AuditedInstallation> {
  const installation = new AuditedInstallation(options);
  await installation.open();
  await installation.watchEndings(options.byReply === true);
  if (options.lettersUnread !== true) await installation.readLetters();
  return installation;
}

export class AuditedInstallation extends Installation {
  readonly ledger = new Ledger();
  /** Where the workers' logs are. */
  readonly logs: string;
  /** Who publishes the tasks. */
  publisher: Broker;
  readonly #readResult: (key: string) => Promise<Buffer | undefined>;
  readonly #supervised: WorkerProcesses[] = [];
  /** The entries' ids, by those of the tasks. */
  readonly #toldByEvent = new Map<string, string>();
  #replyTo: string | undefined;

  constructor({ env, readResult, ...options }: AuditedInstallationOptions) {
    super({
      word: 'chaos',
      ...options,
      env: { RETRY_DELAYS: '200ms,400ms,800ms,1600ms', INPUT_GRACE: '1s', ...env },
    });
    this.logs = join(this.home, 'logs');
    this.publisher = this.broker;
    this.#readResult = readResult ?? ((key) => readFile(join(this.folder, key)).catch(() => undefined));
  }

  async watchEndings(byReply: boolean): Promise<void> {
    await mkdir(this.logs);
    const { events } = this.names;
    if (byReply)
      this.#replyTo = await this.watch(events, [], (delivery) =>
        this.ledger.end(delivery.properties.correlationId, endOfReply(delivery), delivery.redelivered),
      );
    await this.watch(events, ['task.completed', 'task.failed'], ({ routingKey, body, redelivered }) => {
      const { subject, data } = eventMessageOf(routingKey, body);
      const id = byReply ? this.#toldByEvent.get(subject) : subject;
      if (id !== undefined) this.ledger.end(id, data, redelivered);
    });
  }

  async readLetters(): Promise<void> {
    await this.consume(this.names.dead, ({ headers, properties, redelivered }) => {
      const id = headers[LEDGER_HEADER] ?? properties.correlationId ?? headers['darkroom-id'];
      this.ledger.letter(String(id), letterOf(headers), redelivered);
    });
  }

  /** Enters the tasks in the ledger and publishes them until they are confirmed. */
  async submit(assignments: Assignment[]): Promise<void> {
    for (let start = 0; start < assignments.length; start += BATCH) {
      const batch = assignments.slice(start, start + BATCH);
      for (const { task: _, properties: __, toldAs, ...submission } of batch) {
        this.ledger.submit(submission);
        if (toldAs !== undefined) this.#toldByEvent.set(toldAs, submission.id);
      }
      await Promise.all(batch.map((assignment) => this.repeat(assignment)));
    }
  }

  /** Publishes without the ledger: a further copy. */
  async repeat({ id, task, filter, properties }: Assignment): Promise<void> {
    const reply = this.#replyTo === undefined ? {} : { replyTo: this.#replyTo, correlationId: id };
    const headers = { ...properties?.headers, [LEDGER_HEADER]: id };
    for (;;) {
      try {
        return await this.publish(task, {
          ...(filter !== undefined && { filter }),
          by: this.publisher,
          properties: { ...reply, ...properties, headers },
        });
      } catch (error) {
        // Without a confirmation nobody knows; a publisher sends again, and so may make a repeat.
        if (error instanceof TypeError || error instanceof RangeError) throw error;
        await sleep(200);
      }
    }
  }

  /** Workers that are started again whenever one ends. */
  supervise(specs: WorkerSpec[], options: WorkerProcessesOptions = {}): WorkerProcesses {
    const workers = new WorkerProcesses(specs, { ...this.env, ...options.env }, this.logs, options);
    this.#supervised.push(workers);
    return workers;
  }

  /** Waits until every task has its outcome; gives up when none arrives for `stallMs`. */
  async settled(stallMs = 60_000): Promise<void> {
    let seen = this.ledger.arrivals;
    let sinceMs = performance.now();
    while (this.ledger.open > 0 && performance.now() - sinceMs < stallMs) {
      await sleep(POLL_MS);
      if (this.ledger.arrivals === seen) continue;
      seen = this.ledger.arrivals;
      sinceMs = performance.now();
    }
  }

  /** Waits, ends the workers, and compares everything with the ledger. */
  async finish(workers: WorkerProcesses, stallMs?: number): Promise<ScenarioOutcome> {
    await this.settled(stallMs);
    const isQuiet = await this.quiet(workers);
    const codes = await workers.stop();
    const left = await this.#waiting();
    // The last acknowledged letters and events are on their way to us.
    await sleep(300);
    const outcome = await audit(this.ledger, this.#readResult);
    if (!isQuiet || left > 0) outcome.faults.push(`${left} messages are left in the queues`);
    for (const code of codes)
      if (code !== 0) outcome.faults.push(`a worker ended with ${code} after SIGTERM`);
    outcome.unexplained += workers.deaths.length;
    outcome.faults.push(...firstOf(workers.deaths));
    return outcome;
  }

  /** Images between two steps that are still there: left to `darkroom sweep`. */
  async leftovers(): Promise<number> {
    const tasks = join(this.folder, TASKS_FOLDER);
    const entries = await readdir(tasks, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isFile()).length;
  }

  /** Every event of one type from now on, such as `started`, once each unless Darkroom itself repeats it. */
  follow(type: string): Promise<TaskEventMessage[]> {
    return this.collect(this.names.events, `task.${type}`, ({ routingKey, body }) =>
      eventMessageOf(routingKey, body),
    );
  }

  /** `look` at every message that an exchange gets from now on, once each. */
  async collect<T>(exchange: string, key: string, look: (delivery: Delivery) => T): Promise<T[]> {
    const seen: T[] = [];
    await this.watch(exchange, [key], (delivery) => {
      if (!delivery.redelivered) seen.push(look(delivery));
    });
    return seen;
  }

  /** Until no task is in the hands of a worker, or in any queue but the dead letters': looked at a few times, for it moves. */
  async quiet(workers: WorkerProcesses, timeoutMs = 20_000): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    for (let quietLooks = 0; performance.now() < deadline; await sleep(POLL_MS)) {
      const isQuiet = (await workers.inHand()) === 0 && (await this.#waiting()) === 0;
      quietLooks = isQuiet ? quietLooks + 1 : 0;
      if (quietLooks === QUIET_LOOKS) return true;
    }
    return false;
  }

  /** Messages in the queues of the filters and of the retries. */
  async #waiting(): Promise<number> {
    const states = await inspectTopology(this.broker, topologyOf(this.config));
    states.delete(this.names.dead);
    return [...states.values()].reduce((sum, state) => sum + (state?.messages ?? 0), 0);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#supervised.map((workers) => workers.kill()));
    await super[Symbol.asyncDispose]();
  }
}

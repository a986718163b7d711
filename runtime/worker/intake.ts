/**
 * Takes deliveries from a queue, one at a time. The intakes of one worker stand together: while a message is tried that is
 * suspected of taking workers down, the worker has no other in hand, so that none is counted with it.
 */
import type { Broker, Consumer, Delivery } from '../amqp/broker.ts';

interface IntakeOptions {
  broker: Pick<Broker, 'consume'>;
  queue: string;
  /** Sees a delivery through to its end; never rejects. */
  process: (delivery: Delivery) => Promise<void>;
  /** Told when a delivery is taken and when it is settled. */
  onBusy: (busy: boolean) => void;
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #inHand = new Set<{ sinceMs: number }>();
  /** Whether the delivery in hand waits until those of the others are settled. */
  isWaiting = false;
  #consumer: Consumer;
  #lastSettled = Promise.resolve();
  #paused = false;
  #ended = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#consumer = this.#consume();
  }

  get consuming(): boolean {
    return this.#paused || this.#consumer.consuming;
  }

  get busy(): boolean {
    return this.#inHand.size > 0;
  }

  /** Whether it has to come to an end with what is in hand. */
  get stopping(): boolean {
    return this.#paused || this.#ended;
  }

  /** Since a delivery was taken, or last {@link touch}ed; 0 without one, or while it waits for other intakes. */
  get ageMs(): number {
    const nowMs = performance.now();
    const begunMs = [...this.#inHand].map(({ sinceMs }) => sinceMs);
    return this.isWaiting ? 0 : nowMs - Math.min(nowMs, ...begunMs);
  }

  touch(): void {
    for (const taken of this.#inHand) taken.sinceMs = performance.now();
  }

  /** Takes no more deliveries; resolves when none is in hand. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#consumer.cancel();
    await this.#lastSettled;
  }

  /** The same until it is resumed. */
  async pause(): Promise<void> {
    this.#paused = true;
    await this.#consumer.cancel();
    await this.#lastSettled;
  }

  resume(): void {
    this.#paused = false;
    if (this.#ended) return;
    void this.#consumer.close();
    this.#consumer = this.#consume();
  }

  #consume(): Consumer {
    const { broker, queue } = this.#options;
    return broker.consume(queue, (delivery) => this.#take(delivery));
  }

  #take(delivery: Delivery): void {
    const { onBusy, process } = this.#options;
    const taken = { sinceMs: performance.now() };
    this.#inHand.add(taken);
    onBusy(true);
    // One at a time, even when a broken connection brings the next delivery before the last one is settled.
    this.#lastSettled = this.#lastSettled
      .then(() => process(delivery))
      .finally(() => {
        this.#inHand.delete(taken);
        onBusy(false);
      });
  }
}

/** All of one worker. */
export class Intakes {
  readonly #members = new Set<Intake>();
  #alone: Intake | undefined;

  add(intake: Intake): void {
    this.#members.add(intake);
    if (this.#alone !== undefined) void intake.pause();
  }

  /**
   * Asks whether a delivery may be worked on.
   * @param alone waits until no other is in hand
   * @returns false while another is worked on alone
   */
  async admit(intake: Intake, alone: boolean): Promise<boolean> {
    if (this.#alone !== undefined) return false;
    if (!alone) return true;
    this.#alone = intake;
    intake.isWaiting = true;
    await Promise.all(this.#othersThan(intake).map((other) => other.pause()));
    intake.isWaiting = false;
    intake.touch();
    return true;
  }

  /** The work has ended. */
  dismiss(intake: Intake): void {
    if (this.#alone !== intake) return;
    this.#alone = undefined;
    for (const other of this.#othersThan(intake)) other.resume();
  }

  #othersThan(intake: Intake): Intake[] {
    return [...this.#members].filter((other) => other !== intake);
  }
}

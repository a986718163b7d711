/** The outages of a simulated run: when the next one begins or ends, and what is out at a moment. */
import type { Outage } from './types.ts';

export class Outages {
  readonly #outages: readonly Outage[];
  /** Every beginning and end that has not passed, in order. */
  readonly #edgesMs: number[];
  /** The last beginning or end of all; 0 without any. */
  readonly lastMs: number;

  constructor(outages: readonly Outage[]) {
    this.#outages = outages;
    this.#edgesMs = outages.flatMap(({ fromMs, untilMs }) => [fromMs, untilMs]).sort((a, b) => a - b);
    this.lastMs = this.#edgesMs.at(-1) ?? 0;
  }

  /** Infinity when all have passed. */
  get nextMs(): number {
    return this.#edgesMs[0] ?? Number.POSITIVE_INFINITY;
  }

  passEdge(): void {
    this.#edgesMs.shift();
  }

  isOut(nowMs: number, kind?: Outage['kind']): boolean {
    return this.#outages.some(
      (outage) =>
        nowMs >= outage.fromMs && nowMs < outage.untilMs && (kind === undefined || outage.kind === kind),
    );
  }
}

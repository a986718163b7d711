/** What a recommendation is based on. */

/** One look at a queue. */
export interface QueueSample {
  atMs: number;
  /** Messages waiting. */
  ready: number;
  /** Messages in work. */
  unacked: number;
  /** One for each slot of the workers that run. */
  consumers: number;
  /** Messages published, acknowledged and redelivered so far: counters that only rise. */
  published?: number | undefined;
  acknowledged?: number | undefined;
  redelivered?: number | undefined;
  /** Messages a second as the broker measures them; used where there are no counters. */
  publishRate?: number | undefined;
  ackRate?: number | undefined;
}

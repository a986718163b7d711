/** Sends on time: each message has its own moment, so that a late one does not make all others late. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Schedule {
  /** Milliseconds from the start, ascending. */
  arrivalsMs: ArrayLike<number>;
  /** Resolves when the message is safe; never rejects. */
  send(index: number): Promise<void>;
  /** No more is sent once this aborts. */
  signal: AbortSignal;
  /** Messages on their way at once. */
  maxInFlight?: number;
}

export interface Sent {
  /** Messages handed over, from the first on. */
  count: number;
  /** How late each was handed over, milliseconds. */
  latenessMs: Float32Array;
}

const MAX_IN_FLIGHT = 500;
/** Waiting is cut in such pieces, so that an abort is noticed soon. */
const LONGEST_SLEEP_MS = 200;

/** Resolves when everything sent is safe. */
export async function sendOnSchedule(schedule: Schedule): Promise<Sent> {
  const { arrivalsMs, send, signal, maxInFlight = MAX_IN_FLIGHT } = schedule;
  const startMs = performance.now();
  const latenessMs = new Float32Array(arrivalsMs.length);
  const inFlight = new Set<Promise<void>>();
  let count = 0;
  while (count < arrivalsMs.length && !signal.aborted) {
    const earlyMs = startMs + (arrivalsMs[count] as number) - performance.now();
    if (earlyMs > 0) {
      await sleep(Math.min(earlyMs, LONGEST_SLEEP_MS));
      continue;
    }
    if (inFlight.size >= maxInFlight) {
      await Promise.race(inFlight);
      continue;
    }
    latenessMs[count] = -earlyMs;
    const sending: Promise<void> = send(count++).finally(() => inFlight.delete(sending));
    inFlight.add(sending);
  }
  await Promise.all(inFlight);
  return { count, latenessMs: latenessMs.subarray(0, count) };
}

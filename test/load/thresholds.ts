/** What a run must keep to; each limit says in words how it went. */
import { spanLabel } from '../../keda/report/scale.ts';
import { type LoadAccount, nothingEnded } from './load-ledger.ts';
import type { Measured } from './measured.ts';

export interface Limits {
  maxWaitP95Ms?: number | undefined;
  maxLatencyP95Ms?: number | undefined;
  /** Tasks a second. */
  minThroughput?: number | undefined;
  lost: number;
  failed: number;
}

export interface ThresholdVerdict {
  name: 'lost' | 'failed' | 'unfinished' | 'ended-twice' | 'wait-p95' | 'latency-p95' | 'throughput';
  label: string;
  /** In words, such as `at most 30.0 s`. */
  limit: string;
  value: string;
  passed: boolean;
}

/** @param interrupted nobody then expects that everything has ended */
export function judge(
  limits: Limits,
  { waitMs, latencyMs, throughput }: Pick<Measured, 'waitMs' | 'latencyMs' | 'throughput'>,
  account: LoadAccount,
  interrupted: boolean,
): ThresholdVerdict[] {
  const { maxWaitP95Ms, maxLatencyP95Ms, minThroughput } = limits;
  const timeless = nothingEnded(account);
  const verdicts: ThresholdVerdict[] = [
    atMost('lost', 'Tasks lost', account.lost, limits.lost),
    atMost('failed', 'Tasks failed', account.failed + account.cancelled, limits.failed),
    atMost('ended-twice', 'Tasks both completed and failed', account.contradictions, 0),
  ];
  if (!interrupted)
    verdicts.push(atMost('unfinished', 'Tasks still queued at the end', account.unfinished, 0));
  if (maxWaitP95Ms !== undefined)
    verdicts.push(atMostTime('wait-p95', 'Time in queue, p95', waitMs.p95, maxWaitP95Ms, timeless));
  if (maxLatencyP95Ms !== undefined)
    verdicts.push(atMostTime('latency-p95', 'Total latency, p95', latencyMs.p95, maxLatencyP95Ms, timeless));
  if (minThroughput !== undefined) {
    const [limit, value] = [`at least ${minThroughput}/s`, `${throughput.toFixed(2)}/s`];
    const passed = throughput >= minThroughput;
    verdicts.push({ name: 'throughput', label: 'Throughput', limit, value, passed });
  }
  return verdicts;
}

/** `Time in queue, p95: 42.0 s, expected at most 30.0 s`. */
export function verdictWords({ label, limit, value }: ThresholdVerdict): string {
  return `${label}: ${value}, expected ${limit}`;
}

function atMost(
  name: ThresholdVerdict['name'],
  label: string,
  count: number,
  limit: number,
): ThresholdVerdict {
  const words = limit === 0 ? 'none' : `at most ${limit}`;
  return { name, label, limit: words, value: String(count), passed: count <= limit };
}

/** Where nothing ended there is no time, and no time is not a short one. */
function atMostTime(
  name: ThresholdVerdict['name'],
  label: string,
  ms: number,
  limitMs: number,
  unknown: boolean,
): ThresholdVerdict {
  return {
    name,
    label,
    limit: `at most ${spanLabel(limitMs)}`,
    value: unknown ? 'nothing ended' : spanLabel(ms),
    passed: !unknown && ms <= limitMs,
  };
}

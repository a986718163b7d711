/** What the simulator needs to know of the place where a load was measured: how long tasks, starts and news take. */
import { percentiles, type ServiceTime } from '../../keda/simulator.ts';
import type { QueueVisit, StepStart } from './load-ledger.ts';
import type { Sample } from './recorder.ts';

export interface Calibration {
  /** Time at work and the hand-over to the next task, while tasks waited; else the work alone. */
  service: ServiceTime;
  workMeanMs: number;
  /** Between two tasks of a busy worker: confirms, the acknowledgement, the next delivery. */
  handoverMs: number;
  /** From the wish for a worker to its consuming; undefined when none was seen to start. */
  startMs: number | undefined;
  /** How often the management API's counts change; undefined when they were not seen to. */
  statsIntervalMs: number | undefined;
}

/** Fewer observations than this say nothing. */
const FEWEST = 3;
const FEWEST_TURNS = 10;
/** A lognormal distribution's 95th percentile is at most 3.87 times its mean. */
const GREATEST_P95_RATIO = 3.8;

export function calibrate(
  filter: string,
  visits: readonly QueueVisit[],
  starts: readonly StepStart[],
  samples: readonly Sample[],
  slots = 1,
): Calibration | undefined {
  const worked = visits.filter((visit) => visit.filter === filter && !Number.isNaN(visit.workMs));
  if (worked.length === 0) return undefined;
  const turns = turnsOf(
    worked,
    starts.filter((start) => start.filter === filter),
    slots,
  );
  const busy = turns.length >= FEWEST_TURNS;
  const seen: readonly { workMs: number }[] = busy ? turns : worked;
  const workMs = Float32Array.from(seen, (one) => one.workMs);
  const takenMs = busy ? Float32Array.from(turns, (turn) => turn.takenMs) : workMs;
  const work = percentiles(workMs);
  const taken = percentiles(takenMs);
  return {
    service: serviceOf(taken.mean, taken.p95),
    workMeanMs: work.mean,
    handoverMs: taken.mean - work.mean,
    startMs: startDelay(filter, samples),
    statsIntervalMs: statsInterval(filter, samples),
  };
}

function serviceOf(meanMs: number, p95Ms: number): ServiceTime {
  const mean = Math.max(1, meanMs);
  if (p95Ms <= mean * 1.01) return { kind: 'fixed', meanMs: mean };
  return { kind: 'lognormal', meanMs: mean, p95Ms: Math.min(p95Ms, mean * GREATEST_P95_RATIO) };
}

/** One task of a slot whose next task was waiting already: from its start to the next one's. */
interface Turn {
  workMs: number;
  takenMs: number;
}

/**
 * Only while tasks wait does the time between two starts say what a worker manages; and how quick it then is, with
 * all others at work on the same machine, is what decides how long tasks wait.
 */
function turnsOf(visits: readonly QueueVisit[], starts: readonly StepStart[], slots: number): Turn[] {
  const byStep = new Map(visits.map((visit) => [`${visit.task}:${visit.step}`, visit]));
  const turns: Turn[] = [];
  for (const own of Map.groupBy(starts, ({ worker }) => worker).values()) {
    own.sort((a, b) => a.atMs - b.atMs);
    const visitOf = ({ task, step }: StepStart) => byStep.get(`${task}:${step}`);
    const endMs = (start: StepStart) => start.atMs + (visitOf(start)?.workMs ?? 0);
    // Nobody tells which slot a task was in: the one that had been free for longest takes the next.
    const inHand = own.splice(0, slots);
    for (const next of own) {
      inHand.sort((a, b) => endMs(a) - endMs(b));
      const start = inHand.shift() as StepStart;
      inHand.push(next);
      const [visit, following] = [visitOf(start), visitOf(next)];
      if (visit === undefined || following === undefined || following.arrivedMs > start.atMs) continue;
      turns.push({ workMs: visit.workMs, takenMs: Math.max(visit.workMs, next.atMs - start.atMs) });
    }
  }
  // A start of which no event came makes two turns one: the longest are not believed.
  const { p99 } = percentiles(Float32Array.from(turns, ({ takenMs }) => takenMs));
  return turns.filter(({ takenMs }) => takenMs <= Math.ceil(p99));
}

/** For each count of workers: from the first wish for so many until so many consumed, on average. */
function startDelay(filter: string, samples: readonly Sample[]): number | undefined {
  const at = (pick: 'wanted' | 'consumers', count: number, fromMs: number) =>
    samples.find(({ atMs, filters }) => atMs >= fromMs && (filters[filter]?.[pick] ?? 0) >= count)?.atMs;
  const most = samples.reduce((high, { filters }) => Math.max(high, filters[filter]?.wanted || 0), 0);
  const already = samples[0]?.filters[filter]?.consumers || 0;
  const delays: number[] = [];
  for (let count = already + 1; count <= most; count++) {
    const wantedMs = at('wanted', count, 0);
    const consumingMs = wantedMs === undefined ? undefined : at('consumers', count, wantedMs);
    if (wantedMs !== undefined && consumingMs !== undefined) delays.push(consumingMs - wantedMs);
  }
  return delays.length === 0 ? undefined : delays.reduce((sum, ms) => sum + ms, 0) / delays.length;
}

/** While the queue changes from second to second, the time between two changes of what the API reports. */
function statsInterval(filter: string, samples: readonly Sample[]): number | undefined {
  const gaps: number[] = [];
  let changedMs: number | undefined;
  samples.forEach(({ atMs, filters }, index) => {
    const now = filters[filter];
    const before = samples[index - 1]?.filters[filter];
    if (now === undefined || before === undefined) return;
    if (now.ready === before.ready) changedMs = undefined;
    if (Number.isNaN(now.reported) || now.reported === before.reported) return;
    if (changedMs !== undefined) gaps.push(atMs - changedMs);
    changedMs = atMs;
  });
  return gaps.length < FEWEST ? undefined : percentiles(Float32Array.from(gaps)).p50;
}

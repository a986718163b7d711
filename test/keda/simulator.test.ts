import { describe, expect, test } from 'vitest';
import { DEFAULT_SETTINGS, type ScalingRules, type ScalingSettings } from '../../keda/model.ts';
import {
  countsLoad,
  parseServiceTime,
  profileLoad,
  type ServiceTime,
  simulate,
} from '../../keda/simulator.ts';

const HOUR = 3_600_000;
const fromZero = (changes: Partial<ScalingSettings> = {}) => ({
  ...DEFAULT_SETTINGS,
  maxReplicas: 40,
  ...changes,
});

/** Mean wait of a queue that is fed at `utilisation` of what `servers` can do: pods, or slots of fewer pods. */
function meanWait(servers: number, utilisation: number, service: ServiceTime, slots = 1): number {
  const pods = servers / slots;
  const messages = 400_000;
  const durationMs = (messages * service.meanMs) / (servers * utilisation);
  const load = profileLoad('steady', messages, durationMs, 7);
  return simulate({ settings: fromZero({ minReplicas: pods, maxReplicas: pods, slots }), load, service })
    .summary.waitMs.mean;
}

/** Erlang's C: the chance that all servers are busy, from his B by recursion. */
function erlangC(servers: number, offered: number): number {
  let blocked = 1;
  for (let n = 1; n <= servers; n++) blocked = (offered * blocked) / (n + offered * blocked);
  return blocked / (1 - (offered / servers) * (1 - blocked));
}

describe('queueing theory', () => {
  test.each([0.5, 0.8])('M/D/1 at %d: the mean wait is ρ·s / 2(1−ρ)', (rho) => {
    const expected = (rho * 100) / (2 * (1 - rho));
    const measured = meanWait(1, rho, { kind: 'fixed', meanMs: 100 });
    expect(Math.abs(measured / expected - 1)).toBeLessThan(0.05);
  });

  test.each([0.5, 0.8])('M/M/1 at %d: the mean wait is ρ·s / (1−ρ)', (rho) => {
    const expected = (rho * 100) / (1 - rho);
    const measured = meanWait(1, rho, { kind: 'exponential', meanMs: 100 });
    expect(Math.abs(measured / expected - 1)).toBeLessThan(0.06);
  });

  test.each([1, 4])('M/M/8 at 0.9, %i slots a pod: the mean wait is Erlang’s C', (slots) => {
    const expected = (erlangC(8, 7.2) * 100) / (8 - 7.2);
    const measured = meanWait(8, 0.9, { kind: 'exponential', meanMs: 100 }, slots);
    expect(Math.abs(measured / expected - 1)).toBeLessThan(0.08);
  });

  test('M/G/1 with lognormal work: Pollaczek and Khinchine', () => {
    const service = parseServiceTime('100ms,p95=250ms');
    // σ solves ln(2.5) = 1.645σ − σ²/2, and E[s²] = mean²·e^(σ²).
    const sigma = 1.6448536 - Math.sqrt(1.6448536 ** 2 - 2 * Math.log(2.5));
    const expected = (0.7 * 100 * Math.exp(sigma ** 2)) / (2 * 0.3);
    expect(Math.abs(meanWait(1, 0.7, service) / expected - 1)).toBeLessThan(0.08);
  });
});

describe('a burst from zero', () => {
  const load = profileLoad('burst', 2_000, HOUR, 1);
  const service = parseServiceTime('800ms,p95=2s');
  const { run, summary } = simulate({ settings: fromZero(), load, service, pricePerPodHour: 0.05 });

  test('completes everything and comes back to zero after the cooldown', () => {
    const all = { messages: 2_000, completed: 2_000, stranded: 0, maxDepth: 2_000 };
    expect(summary).toMatchObject({ ...all, maxReplicas: 40 });
    const restMs = summary.timeToRestMs ?? 0;
    // The cooldown is 300 s from the last poll that saw work; counts are up to 5 s old and polls 10 s apart.
    expect(restMs).toBeGreaterThan(285_000);
    expect(restMs).toBeLessThan(320_000);
  });

  test('starts with KEDA’s 0 → 1 and doubles by the HPA', () => {
    const steps = run.changes.map(({ to }) => to);
    expect(steps.slice(0, 6)).toEqual([1, 4, 8, 16, 32, 40]);
    expect(run.changes[0]?.reason).toMatch(/^keda: \d+ messages, more than 0: 0 → 1/);
  });

  test('adds up: cost is pod-hours times price, completions are arrivals', () => {
    const { stepMs, arrived, completed } = run.series;
    const total = (perSecond: number[]) =>
      Math.round(perSecond.reduce((sum, rate) => sum + rate, 0) * (stepMs / 1_000));
    expect([total(arrived), total(completed)]).toEqual([2_000, 2_000]);
    expect(summary.cost).toBeCloseTo(summary.podHours * 0.05, 10);
  });

  test('is the same for the same seed, and another for another', () => {
    const again = simulate({ settings: fromZero(), load, service, pricePerPodHour: 0.05 });
    const other = simulate({ settings: fromZero(), load, service, seed: 2 });
    expect(again).toEqual({ run, summary });
    expect(other.summary.waitMs.mean).not.toBe(summary.waitMs.mean);
  });
});

describe('scale-in', () => {
  const atOnce = (type: 'Pods' | 'Percent', value: number): ScalingRules => ({
    stabilizationWindowMs: 0,
    selectPolicy: 'Max',
    policies: [{ type, value, periodMs: 15_000 }],
  });
  const settings = fromZero({ behavior: { scaleUp: atOnce('Pods', 40), scaleDown: atOnce('Percent', 100) } });
  const load = profileLoad('spike', 3_000, HOUR, 3);
  const service = parseServiceTime('6s,p95=15s');

  test('takes idle pods first when pods publish their deletion cost', () => {
    const hits = (deletionCost: boolean) =>
      simulate({ settings, load, service, deletionCost }).summary.busyPodsHit;
    expect(hits(true)).toBeLessThan(hits(false) / 2);
  });

  test('lets busy pods finish within the drain, and gives tasks back beyond it', () => {
    const returned = (drainMs: number) =>
      simulate({ settings, load, service, drainMs, deletionCost: false }).summary;
    expect(returned(120_000)).toMatchObject({ returned: 0, completed: 3_000 });
    const short = returned(1_000);
    expect(short.returned).toBeGreaterThan(0);
    expect(short.completed).toBe(3_000);
  });

  test('hits fewer busy pods by the busy floor than by a plain queue length', () => {
    const by = (metric: ScalingSettings['metric']) => ({ ...settings, metric, messagesPerReplica: 4 });
    const hits = (metric: ScalingSettings['metric']) =>
      simulate({ settings: by(metric), load, service, statsIntervalMs: 0 }).summary.busyPodsHit;
    expect(hits('busy-floor')).toBeLessThan(hits('queue-length'));
  });
});

describe('slots', () => {
  /** Images a second of one pod with a backlog. */
  const throughput = (slots: number, cpuShare: number, cpus = 1) =>
    simulate({
      settings: fromZero({ minReplicas: 1, maxReplicas: 1, slots }),
      load: countsLoad([2_000], 1),
      service: parseServiceTime('100ms'),
      cpuShare,
      cpus,
    }).summary.throughput;

  test('make what waits overlap, and share the processor for the rest', () => {
    expect(throughput(4, 0)).toBeCloseTo(40, 0);
    expect(throughput(4, 1)).toBeCloseTo(10, 0);
    expect(throughput(4, 1, 4)).toBeGreaterThan(25);
    // Measured: one worker with 43 ms of CPU in 217 ms a photo did 4.6, 8.9, 14.6 and 19.9 a second with 1, 2, 4, 8 at once.
    const gains = [2, 4, 8].map((slots) => throughput(slots, 0.2) / throughput(1, 0.2));
    for (const [index, measured] of [1.93, 3.17, 4.33].entries())
      expect(Math.abs((gains[index] as number) / measured - 1)).toBeLessThan(0.15);
  });

  test('take fewer replicas for the same work, none of it lost, and say so', () => {
    const load = profileLoad('spike', 3_000, HOUR, 3);
    const service = parseServiceTime('6s,p95=15s');
    const withSlots = (slots: number) =>
      simulate({ settings: fromZero({ slots, messagesPerReplica: 5 * slots }), load, service }).summary;
    const [one, four] = [withSlots(1), withSlots(4)];
    expect(four.completed).toBe(3_000);
    expect(four.maxReplicas).toBeLessThan(one.maxReplicas / 2);
    expect(four.podHours).toBeLessThan(one.podHours / 2);
    expect(four.utilisation).toBeLessThanOrEqual(1);
  });

  test('of one pod all finish within the drain, or all give their tasks back', () => {
    const outages = [{ kind: 'broker', fromMs: 60_000, untilMs: 120_000 } as const];
    const { summary } = simulate({
      settings: fromZero({ minReplicas: 2, maxReplicas: 2, slots: 4 }),
      load: countsLoad([100], 1),
      service: parseServiceTime('10s'),
      outages,
    });
    expect(summary).toMatchObject({ completed: 100, returned: 8 });
  });
});

describe('waking from zero', () => {
  const load = countsLoad([1], 1);
  const firstWait = (wakeUp: ScalingSettings['wakeUp'], phase: 'random' | 'worst') =>
    simulate({
      settings: fromZero({ wakeUp, pollingIntervalMs: 2_000 }),
      load,
      service: parseServiceTime('1s'),
      podStartMs: 1_000,
      phase,
    }).summary.waitMs.max;

  test('takes a poll and a pod’s start where the queue is asked itself', () => {
    expect(firstWait('amqp', 'worst')).toBeLessThanOrEqual(3_000);
    expect(firstWait('amqp', 'random')).toBeLessThan(firstWait('amqp', 'worst'));
  });

  test('waits for the statistics as well where it is not', () => {
    expect(firstWait('http', 'worst')).toBeGreaterThan(5_000);
  });
});

describe('outages', () => {
  const load = profileLoad('steady', 3_600, HOUR, 5);
  const service = parseServiceTime('2s');

  test('while only the counts are out of reach, the count freezes and work goes on', () => {
    const outages = [{ kind: 'metrics', fromMs: HOUR / 2, untilMs: HOUR / 2 + 600_000 } as const];
    const { run, summary } = simulate({ settings: fromZero(), load, service, outages });
    const during = run.changes.filter(({ atMs }) => atMs >= HOUR / 2 && atMs < HOUR / 2 + 600_000);
    expect(during).toEqual([]);
    expect(summary).toMatchObject({ completed: 3_600, returned: 0 });
  });

  test('when the broker is away, tasks in work come back and nothing is lost', () => {
    const outages = [{ kind: 'broker', fromMs: HOUR / 2, untilMs: HOUR / 2 + 120_000 } as const];
    const { run, summary } = simulate({ settings: fromZero(), load, service, outages });
    expect(summary.completed).toBe(3_600);
    expect(summary.returned).toBeGreaterThan(0);
    const { stepMs, completed } = run.series;
    expect(completed[Math.floor((HOUR / 2 + 60_000) / stepMs)]).toBe(0);
  });
});

test('messages at or below the activation count are stranded at zero, and the run says so', () => {
  const load = countsLoad([3], 1);
  const settings = fromZero({ activationMessages: 5 });
  const { summary } = simulate({ settings, load, service: parseServiceTime('1s') });
  expect(summary).toMatchObject({ completed: 0, stranded: 3, maxReplicas: 0 });
});

test('a day of a million messages ends with every message done', () => {
  const load = profileLoad('daily', 1_000_000, 24 * HOUR, 1);
  const service = parseServiceTime('800ms,p95=2s');
  const { run, summary } = simulate({ settings: fromZero(), load, service });
  expect(summary).toMatchObject({ completed: 1_000_000, stranded: 0 });
  expect(run.series.depth.length).toBeLessThanOrEqual(1_440);
});

import { describe, expect, test } from 'vitest';
import { DEFAULT_SETTINGS, type ScalingSettings } from '../../keda/model.ts';
import {
  countsLoad,
  type Load,
  parseServiceTime,
  percentiles,
  profileLoad,
  type ServiceTime,
  scaleCounts,
  simulate,
} from '../../keda/simulator.ts';

const HOUR = 3_600_000;
const fixed = (replicas: number): ScalingSettings => ({
  ...DEFAULT_SETTINGS,
  minReplicas: replicas,
  maxReplicas: replicas,
});
const fromZero = (changes: Partial<ScalingSettings> = {}): ScalingSettings => ({
  ...DEFAULT_SETTINGS,
  maxReplicas: 40,
  ...changes,
});

/** Mean wait of a queue that is fed at `utilisation` of what `servers` can do. */
function meanWait(servers: number, utilisation: number, service: ServiceTime): number {
  const messages = 400_000;
  const durationMs = (messages * service.meanMs) / (servers * utilisation);
  const load = profileLoad('steady', messages, durationMs, 7);
  return simulate({ settings: fixed(servers), load, service }).summary.waitMs.mean;
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

  test('M/M/8 at 0.9: the mean wait is Erlang’s C', () => {
    const expected = (erlangC(8, 7.2) * 100) / (8 - 7.2);
    const measured = meanWait(8, 0.9, { kind: 'exponential', meanMs: 100 });
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
    expect(summary).toMatchObject({
      messages: 2_000,
      completed: 2_000,
      stranded: 0,
      maxReplicas: 40,
      maxDepth: 2_000,
    });
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
  const behavior = {
    scaleUp: {
      stabilizationWindowMs: 0,
      selectPolicy: 'Max',
      policies: [{ type: 'Pods', value: 40, periodMs: 15_000 }],
    },
    scaleDown: {
      stabilizationWindowMs: 0,
      selectPolicy: 'Max',
      policies: [{ type: 'Percent', value: 100, periodMs: 15_000 }],
    },
  } as const;
  const settings = fromZero({
    behavior: structuredClone(behavior) as unknown as ScalingSettings['behavior'],
  });
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
    const hits = (metric: ScalingSettings['metric']) =>
      simulate({
        settings: { ...settings, metric, messagesPerReplica: 4 },
        load,
        service,
        statsIntervalMs: 0,
      }).summary.busyPodsHit;
    expect(hits('busy-floor')).toBeLessThan(hits('queue-length'));
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
  const { summary } = simulate({
    settings: fromZero({ activationMessages: 5 }),
    load,
    service: parseServiceTime('1s'),
  });
  expect(summary).toMatchObject({ completed: 0, stranded: 3, maxReplicas: 0 });
});

test('a day of a million messages ends with every message done', () => {
  const load = profileLoad('daily', 1_000_000, 24 * HOUR, 1);
  const { run, summary } = simulate({
    settings: fromZero(),
    load,
    service: parseServiceTime('800ms,p95=2s'),
  });
  expect(summary).toMatchObject({ completed: 1_000_000, stranded: 0 });
  expect(run.series.depth.length).toBeLessThanOrEqual(1_440);
});

describe('loads', () => {
  const inOrder = ({ arrivalsMs }: Load) =>
    arrivalsMs.every((at, index) => index === 0 || at >= (arrivalsMs[index - 1] ?? 0));

  test.each(['burst', 'ramp', 'steady', 'spike', 'daily'] as const)(
    '%s has the messages asked for, in order, in time',
    (profile) => {
      const load = profileLoad(profile, 5_000, HOUR, 1);
      expect(load.arrivalsMs).toHaveLength(5_000);
      expect(inOrder(load)).toBe(true);
      expect(load.arrivalsMs[0]).toBeGreaterThanOrEqual(0);
      expect(load.arrivalsMs.at(-1)).toBeLessThanOrEqual(HOUR);
    },
  );

  test('a ramp puts three quarters into its second half, a spike half into its tenth', () => {
    const share = (profile: 'ramp' | 'spike', from: number, to: number) =>
      profileLoad(profile, 100_000, 1, 1).arrivalsMs.filter((at) => at >= from && at < to).length / 100_000;
    expect(share('ramp', 0.5, 1)).toBeCloseTo(0.75, 2);
    expect(share('spike', 0.45, 0.55)).toBeCloseTo(10 / 19, 2);
  });

  test('counts a second stay in their second, and scale to an exact total', () => {
    const load = countsLoad([2, 0, 3], 1);
    expect([...load.arrivalsMs].map((at) => Math.floor(at / 1_000))).toEqual([0, 0, 2, 2, 2]);
    expect(scaleCounts([1, 1, 1], 10).reduce((sum, count) => sum + count, 0)).toBe(10);
  });
});

describe('service times', () => {
  test('a lognormal has the mean and the p95 it was given', () => {
    const load = profileLoad('steady', 200_000, 1_000 * HOUR, 1);
    const { latencyMs } = simulate({
      settings: fixed(50),
      load,
      service: parseServiceTime('800ms,p95=2s'),
    }).summary;
    expect(latencyMs.mean / 800).toBeCloseTo(1, 1);
    expect(latencyMs.p95 / 2_000).toBeCloseTo(1, 1);
  });

  test.each(['', '0s', '800', '800ms,p50=1s', '800ms,p95=700ms', '800ms,p95=9s'])('refuses %j', (text) => {
    expect(() => parseServiceTime(text)).toThrow(/service time/);
  });
});

test('percentiles are by nearest rank and leave gaps out', () => {
  const values = Float32Array.from({ length: 100 }, (_, index) => 100 - index);
  const gaps = Float32Array.of(Number.NaN, 4, Number.NaN);
  expect(percentiles(values)).toEqual({ mean: 50.5, p50: 50, p95: 95, p99: 99, max: 100 });
  expect(percentiles(gaps).p95).toBe(4);
  expect(percentiles(new Float32Array())).toEqual({ mean: 0, p50: 0, p95: 0, p99: 0, max: 0 });
});

/** The charts of a load test: measured in solid lines, predicted in dashed ones of the same colour. */

import { evenly, type ReportPanel, type ReportSeries } from '../../keda/report/report.ts';
import { countLabel, spanLabel } from '../../keda/report/scale.ts';
import { percentiles } from '../../keda/simulator.ts';
import { visitsOf } from './load-ledger.ts';
import { type Moments, momentsOf, type PredictedSeries } from './predict.ts';
import type { Sample } from './recorder.ts';
import type { Result } from './result.ts';

const SECOND_MS = 1_000;
/** Counts of single seconds jump; the mean of so many can be read. */
const SMOOTHED_SECONDS = 5;
/** Submissions so many times faster than the work would flatten its line. */
const BURST_RATIO = 3;
/** About so many steps in a line of percentiles: enough to see the course, few enough for each to mean something. */
const WINDOWS = 60;
const WINDOW_CHOICES_MS = [1, 2, 5, 10, 15, 30, 60, 120, 300].map((seconds) => seconds * SECOND_MS);

export function panelsOf(result: Result): ReportPanel[] {
  return [
    queuePanel(result),
    workersPanel(result),
    throughputPanel(result),
    ...timePanels(result),
    ...failurePanel(result),
  ];
}

function queuePanel({ samples, comparison }: Result): ReportPanel {
  return {
    title: 'Queue length',
    unit: 'messages',
    series: [
      measured(samples, ({ total }) => total.ready, { name: 'waiting', color: 'amber', shape: 'area' }),
      ...predicted(comparison, ({ ready }) => ready, { name: 'waiting', color: 'amber' }),
    ],
  };
}

function workersPanel({ samples, comparison }: Result): ReportPanel {
  const askedFor = { name: 'asked for', color: 'blue', shape: 'step' } as const;
  const isAsked = samples.some(({ total }) => !Number.isNaN(total.wanted));
  return {
    title: 'Workers',
    unit: 'workers',
    series: [
      measured(samples, ({ total }) => total.unacked, { name: 'in work', color: 'grey', shape: 'area' }),
      measured(samples, ({ total }) => total.consumers, { name: 'consuming', color: 'teal', shape: 'step' }),
      ...(isAsked ? [measured(samples, ({ total }) => total.wanted, askedFor)] : []),
      ...predicted(comparison, ({ wanted }) => wanted, askedFor),
    ],
    note: 'In work: delivered and not acknowledged, as the management API counts; it is seconds behind.',
  };
}

function throughputPanel({ entries, samples, comparison, startMs }: Result): ReportPanel {
  const seconds = Math.ceil((samples.at(-1)?.atMs ?? 0) / SECOND_MS) + 1;
  const visits = visitsOf(entries);
  const submitted = perSecond(
    entries.map(({ submittedMs }) => submittedMs - startMs),
    seconds,
  );
  const done = perSecond(
    visits
      .filter(({ workMs }) => !Number.isNaN(workMs))
      .map(({ arrivedMs, waitMs, workMs }) => arrivedMs + (waitMs || 0) + workMs - startMs),
    seconds,
  );
  const expected = predicted(comparison, ({ completed }) => smoothed(completed), {
    name: 'worked off',
    color: 'teal',
  });
  const busiest = Math.max(...done, ...expected.flatMap(({ values }) => Array.from(values)));
  const quickest = Math.max(...submitted);
  const cut = busiest > 0 && quickest > busiest * BURST_RATIO;
  const several = visits.length > entries.length;
  return {
    title: 'Throughput',
    unit: several ? 'steps/s' : 'tasks/s',
    series: [
      { name: several ? 'tasks submitted' : 'submitted', ...evenly(SECOND_MS, submitted), color: 'grey' },
      { name: 'worked off', ...evenly(SECOND_MS, done), color: 'teal' },
      ...expected,
    ],
    top: cut ? busiest * 1.1 : undefined,
    note: `Means over ${SMOOTHED_SECONDS} s.${cut ? ` Submissions go beyond the axis, to ${countLabel(quickest)} a second.` : ''}`,
  };
}

function timePanels({ entries, samples, comparison, startMs }: Result): ReportPanel[] {
  const visits = visitsOf(entries);
  const ended = entries.filter(({ endedMs }) => endedMs !== undefined);
  const waits = momentsOf(
    visits.map(({ arrivedMs }) => arrivedMs - startMs),
    Float32Array.from(visits, ({ waitMs }) => waitMs),
  );
  const latencies = momentsOf(
    ended.map(({ submittedMs }) => submittedMs - startMs),
    Float32Array.from(ended, ({ submittedMs, endedMs }) => (endedMs as number) - submittedMs),
  );
  const typical = comparison?.prediction.typical;
  const windowMs = windowOf(samples.at(-1)?.atMs ?? 0);
  const about = `Each step covers ${spanLabel(windowMs)}`;
  return [
    {
      title: 'Time in queue',
      unit: 's',
      series: percentileSeries(waits, typical?.waits, windowMs),
      note: `${about}, and the messages that workers took in it.`,
    },
    {
      title: 'Total latency',
      unit: 's',
      series: percentileSeries(latencies, typical?.latencies, windowMs),
      note: `${about}, and the tasks that ended in it; from submission to final event.`,
    },
  ];
}

function percentileSeries(own: Moments, expected: Moments | undefined, windowMs: number): ReportSeries[] {
  const pair = (moments: Moments): ReportSeries[] => [
    { name: 'p95', ...percentileSteps(moments, windowMs, 'p95'), color: 'violet', shape: 'step' },
    { name: 'p50', ...percentileSteps(moments, windowMs, 'p50'), color: 'rose', shape: 'step' },
  ];
  return [...pair(own), ...(expected === undefined ? [] : pair(expected).map(asPredicted))];
}

/** A percentile in seconds, window by window; the last one is held to its window's end. */
function percentileSteps(
  { atMs, spanMs }: Moments,
  windowMs: number,
  rank: 'p50' | 'p95',
): Pick<ReportSeries, 'timesMs' | 'values'> {
  const windows = new Map<number, number[]>();
  atMs.forEach((ms, index) => {
    if (Number.isNaN(ms)) return;
    const window = Math.max(0, Math.floor(ms / windowMs));
    const spans = windows.get(window) ?? [];
    spans.push(spanMs[index] as number);
    windows.set(window, spans);
  });
  const values = Array.from({ length: Math.max(-1, ...windows.keys()) + 1 }, (_, window) => {
    const spans = windows.get(window);
    return spans === undefined ? Number.NaN : percentiles(Float32Array.from(spans))[rank] / SECOND_MS;
  });
  return evenly(windowMs, [...values, ...values.slice(-1)]);
}

function windowOf(lengthMs: number): number {
  const rough = lengthMs / WINDOWS;
  return WINDOW_CHOICES_MS.find((choice) => choice >= rough) ?? 10 * 60 * SECOND_MS;
}

function failurePanel({ samples, account }: Result): ReportPanel[] {
  if (account.failed + account.retries === 0) return [];
  return [
    {
      title: 'Failures and retries',
      unit: 'so far',
      series: [
        measured(samples, ({ failed }) => failed, { name: 'failed', color: 'rose', shape: 'step' }),
        measured(samples, ({ retries }) => retries, { name: 'retries', color: 'amber', shape: 'step' }),
      ],
    },
  ];
}

type Look = Pick<ReportSeries, 'name' | 'color' | 'shape'>;

function measured(samples: Result['samples'], pick: (sample: Sample) => number, look: Look): ReportSeries {
  return { ...look, timesMs: samples.map(({ atMs }) => atMs), values: samples.map(pick) };
}

/** None where nothing was simulated. */
function predicted(
  comparison: Result['comparison'],
  pick: (series: PredictedSeries) => readonly number[],
  look: Look,
): ReportSeries[] {
  const series = comparison?.prediction.typical.series;
  return series === undefined ? [] : [asPredicted({ ...look, ...evenly(series.stepMs, pick(series)) })];
}

function asPredicted(series: ReportSeries): ReportSeries {
  return { ...series, name: `${series.name}, predicted`, dashed: true };
}

function perSecond(timesMs: readonly number[], seconds: number): number[] {
  const counts = new Array<number>(seconds).fill(0);
  for (const ms of timesMs) {
    const second = Math.min(seconds - 1, Math.max(0, Math.floor(ms / SECOND_MS)));
    counts[second] = (counts[second] ?? 0) + 1;
  }
  return smoothed(counts);
}

/** A moving mean around each value. */
function smoothed(values: readonly number[]): number[] {
  const reach = Math.floor(SMOOTHED_SECONDS / 2);
  return values.map((_, index) => {
    const near = values.slice(Math.max(0, index - reach), index + reach + 1);
    return near.reduce((sum, value) => sum + value, 0) / near.length;
  });
}

/** The charts of a load test: measured in solid lines, predicted in dashed ones of the same colour. */

import { evenly, type ReportPanel, type ReportSeries } from '../../keda/report/report.ts';
import { spanLabel } from '../../keda/report/scale.ts';
import { percentiles } from '../../keda/simulator.ts';
import { visitsOf } from './ledger.ts';
import { type Moments, momentsOf } from './predict.ts';
import type { Level } from './recorder.ts';
import type { Result } from './result.ts';

const SECOND_MS = 1_000;
/** Counts by the second jump about; the mean over so many can be read. */
const SMOOTHED_SECONDS = 5;
/** Submissions this many times quicker than the work would flatten its line. */
const BURST_RATIO = 3;
/** About so many marks a line of percentiles: enough to see the course, few enough for each to mean something. */
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
  const predicted = comparison?.prediction.typical.series;
  return {
    title: 'Queue length',
    unit: 'messages',
    series: [
      { name: 'waiting', ...sampled(samples, ({ ready }) => ready), color: 'amber', shape: 'area' },
      ...(predicted === undefined
        ? []
        : [dashed('waiting, predicted', predicted.stepMs, predicted.ready, 'amber')]),
    ],
  };
}

function workersPanel({ samples, comparison }: Result): ReportPanel {
  const predicted = comparison?.prediction.typical.series;
  const asked = samples.some(({ total }) => !Number.isNaN(total.wanted));
  return {
    title: 'Workers',
    unit: 'workers',
    series: [
      { name: 'in work', ...sampled(samples, ({ unacked }) => unacked), color: 'grey', shape: 'area' },
      { name: 'consuming', ...sampled(samples, ({ consumers }) => consumers), color: 'teal', shape: 'step' },
      ...(asked
        ? [
            {
              name: 'asked for',
              ...sampled(samples, ({ wanted }) => wanted),
              color: 'blue',
              shape: 'step',
            } satisfies ReportSeries,
          ]
        : []),
      ...(predicted === undefined
        ? []
        : [
            {
              ...dashed('asked for, predicted', predicted.stepMs, predicted.wanted, 'blue'),
              shape: 'step',
            } satisfies ReportSeries,
          ]),
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
  const predicted = comparison?.prediction.typical.series;
  const busiest = Math.max(...done, ...smoothed(predicted?.completed ?? [0]));
  const quickest = Math.max(...submitted);
  const cut = busiest > 0 && quickest > busiest * BURST_RATIO;
  const several = visits.length > entries.length;
  return {
    title: 'Throughput',
    unit: several ? 'steps/s' : 'tasks/s',
    series: [
      { name: several ? 'tasks submitted' : 'submitted', ...evenly(SECOND_MS, submitted), color: 'grey' },
      { name: 'worked off', ...evenly(SECOND_MS, done), color: 'teal' },
      ...(predicted === undefined
        ? []
        : [dashed('worked off, predicted', predicted.stepMs, smoothed(predicted.completed), 'teal')]),
    ],
    top: cut ? busiest * 1.1 : undefined,
    note: `Means over ${SMOOTHED_SECONDS} s.${cut ? ` Submissions go beyond the axis, to ${Math.round(quickest).toLocaleString('en')} a second.` : ''}`,
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
  const about = `Each mark stands for ${spanLabel(windowMs)}`;
  return [
    timePanel('Time in queue', windowMs, waits, typical?.waits, `${about}, and for what workers took then.`),
    timePanel(
      'Total latency',
      windowMs,
      latencies,
      typical?.latencies,
      `${about}, and for the tasks that ended then; from submission to final event.`,
    ),
  ];
}

function timePanel(
  title: string,
  windowMs: number,
  measured: Moments,
  predicted: Moments | undefined,
  note: string,
): ReportPanel {
  const pair = (moments: Moments, suffix: string): ReportSeries[] => [
    { name: `p95${suffix}`, ...plateaus(moments, windowMs, 'p95'), color: 'violet', dashed: suffix !== '' },
    { name: `p50${suffix}`, ...plateaus(moments, windowMs, 'p50'), color: 'rose', dashed: suffix !== '' },
  ];
  return {
    title,
    unit: 's',
    series: [...pair(measured, ''), ...(predicted === undefined ? [] : pair(predicted, ', predicted'))],
    note,
  };
}

/** A percentile, window by window, in seconds. Each window has its length, so that one alone can be seen. */
function plateaus(
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
  const timesMs: number[] = [];
  const values: number[] = [];
  for (let window = 0; window <= Math.max(-1, ...windows.keys()); window++) {
    const spans = windows.get(window);
    const value = spans === undefined ? Number.NaN : percentiles(Float32Array.from(spans))[rank] / SECOND_MS;
    timesMs.push(window * windowMs, (window + 1) * windowMs - 1);
    values.push(value, value);
  }
  return { timesMs, values };
}

function windowOf(lengthMs: number): number {
  const rough = lengthMs / WINDOWS;
  return WINDOW_CHOICES_MS.find((choice) => choice >= rough) ?? 10 * 60 * SECOND_MS;
}

function failurePanel({ samples, account }: Result): ReportPanel[] {
  if (account.failed + account.retries === 0) return [];
  const timesMs = samples.map(({ atMs }) => atMs);
  return [
    {
      title: 'Failures and retries',
      unit: 'so far',
      series: [
        {
          name: 'failed',
          timesMs,
          values: samples.map(({ failed }) => failed),
          color: 'rose',
          shape: 'step',
        },
        {
          name: 'retries',
          timesMs,
          values: samples.map(({ retries }) => retries),
          color: 'amber',
          shape: 'step',
        },
      ],
    },
  ];
}

function sampled(samples: Result['samples'], pick: (level: Level) => number) {
  return { timesMs: samples.map(({ atMs }) => atMs), values: samples.map(({ total }) => pick(total)) };
}

function dashed(
  name: string,
  stepMs: number,
  values: readonly number[],
  color: ReportSeries['color'],
): ReportSeries {
  return { name, ...evenly(stepMs, values), color, dashed: true };
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

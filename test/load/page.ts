/** The page of a load test: what was measured in solid lines, what the simulator predicts in dashed ones. */
import { spanLabel } from '../../keda/report/scale.ts';
import {
  evenly,
  type Report,
  type ReportFigure,
  type ReportPanel,
  type ReportSeries,
} from '../../keda/report.ts';
import { type WaitCourse, waitCourse } from '../../keda/simulator.ts';
import { visitsOf } from './ledger.ts';
import type { Level } from './recorder.ts';
import { failuresOf, machine, type Result } from './result.ts';
import { comparedHead, comparedRows, findingsOf, offBy } from './words.ts';

const SECOND_MS = 1_000;
/** Counts by the second jump about; the mean over so many can be read. */
const SMOOTHED_SECONDS = 5;
/** Submissions this many times quicker than the work would flatten its line. */
const BURST_RATIO = 3;
const REMARKS_SHOWN = 300;

export function loadPage(result: Result): Report {
  const { profile, account, target, recipes, startMs } = result;
  const { cpu, cores, node } = machine();
  const version = target.rabbitmq === undefined ? '' : ` · RabbitMQ ${target.rabbitmq}`;
  return {
    title: `${profile.charAt(0).toUpperCase()}${profile.slice(1)}: ${account.submitted.toLocaleString('en')} tasks, measured`,
    subtitle: `${recipes.join(' · ')} · ${target.about}${version} · ${cores} × ${cpu}, Node ${node} · ${new Date(startMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    figures: figures(result),
    findings: findingsOf(result),
    panels: [
      queuePanel(result),
      workersPanel(result),
      throughputPanel(result),
      ...timePanels(result),
      ...failurePanel(result),
    ],
    tables: tables(result),
    command: result.command,
  };
}

function figures({ measured, account, verdicts, comparison }: Result): ReportFigure[] {
  const verdictOf = (name: string): Pick<ReportFigure, 'verdict'> => {
    const verdict = verdicts.find((candidate) => candidate.name === name);
    return verdict === undefined ? {} : { verdict: verdict.passed ? 'good' : 'bad' };
  };
  const limitOf = (name: string) => verdicts.find((candidate) => candidate.name === name)?.limit;
  const predicted = (name: string) => {
    const figure = comparison?.figures.find((candidate) => candidate.name === name);
    return figure === undefined ? undefined : `model ${offBy(figure)}`;
  };
  const detail = (...parts: (string | undefined)[]) =>
    parts.filter((part) => part !== undefined).join(' · ') || undefined;
  return [
    {
      label: 'Time in queue, p95',
      value: spanLabel(measured.waitMs.p95),
      detail: detail(limitOf('wait-p95'), predicted('Time in queue, p95')),
      ...verdictOf('wait-p95'),
    },
    {
      label: 'Total latency, p95',
      value: spanLabel(measured.latencyMs.p95),
      detail: detail(limitOf('latency-p95'), predicted('Total latency, p95')),
      ...verdictOf('latency-p95'),
    },
    {
      label: 'Throughput',
      value: `${measured.throughput.toFixed(1)}/s`,
      detail: detail(limitOf('throughput'), `all in ${spanLabel(measured.makespanMs)}`),
      ...verdictOf('throughput'),
    },
    {
      label: 'Most workers',
      value: String(measured.peakReplicas),
      detail: predicted('Most workers'),
    },
    {
      label: 'Failed',
      value: String(account.failed + account.cancelled),
      detail: `${account.retries} retries`,
      ...verdictOf('failed'),
    },
    {
      label: 'Lost',
      value: String(account.lost),
      detail: `of ${account.submitted.toLocaleString('en')}`,
      ...verdictOf('lost'),
    },
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

function timePanels({ entries, comparison, startMs }: Result): ReportPanel[] {
  const visits = visitsOf(entries);
  const ended = entries.filter(({ endedMs }) => endedMs !== undefined);
  const waits = courseOf(
    visits.map(({ arrivedMs }) => arrivedMs - startMs),
    visits.map(({ waitMs }) => waitMs),
  );
  const latencies = courseOf(
    ended.map(({ submittedMs }) => submittedMs - startMs),
    ended.map(({ submittedMs, endedMs }) => (endedMs as number) - submittedMs),
  );
  const typical = comparison?.prediction.typical;
  return [
    timePanel('Time in queue', waits, typical?.waits, 'Of what workers take at that moment.'),
    timePanel(
      'Total latency',
      latencies,
      typical?.latencies,
      'From submission to final event, of the tasks that end at that moment.',
    ),
  ];
}

function timePanel(
  title: string,
  measured: WaitCourse,
  predicted: WaitCourse | undefined,
  note: string,
): ReportPanel {
  const inSeconds = (values: readonly number[]) => values.map((ms) => ms / SECOND_MS);
  const pair = ({ stepMs, p50Ms, p95Ms }: WaitCourse, suffix: string): ReportSeries[] => [
    { name: `p95${suffix}`, ...evenly(stepMs, inSeconds(p95Ms)), color: 'violet', dashed: suffix !== '' },
    { name: `p50${suffix}`, ...evenly(stepMs, inSeconds(p50Ms)), color: 'rose', dashed: suffix !== '' },
  ];
  return {
    title,
    unit: 's',
    series: [...pair(measured, ''), ...(predicted === undefined ? [] : pair(predicted, ', predicted'))],
    note,
  };
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

function tables(result: Result): Report['tables'] {
  const { verdicts, comparison, measured, remarks, entries, startMs } = result;
  const failures = failuresOf(entries);
  return [
    {
      title: 'Thresholds',
      head: ['', 'Measured', 'Expected', ''],
      rows: verdicts.map(({ label, value, limit, passed }) => [
        label,
        value,
        limit,
        passed ? 'kept' : 'NOT KEPT',
      ]),
    },
    {
      title: comparison === undefined ? 'Figures' : 'Measured and predicted',
      head: comparedHead(result),
      rows: comparedRows(result),
    },
    ...(failures.length === 0
      ? []
      : [
          {
            title: 'Why tasks failed',
            head: ['Tasks', 'Type', 'Reason'],
            rows: failures.map(({ tasks, type, reason }) => [tasks, type, reason]),
          },
        ]),
    filterTable(result),
    ...(comparison === undefined ? [] : [toldTable(comparison.told)]),
    ...(remarks.length === 0
      ? []
      : [
          {
            title: `What scaling did, and why (${remarks.length})`,
            head: ['At', ''],
            rows: remarks
              .slice(0, REMARKS_SHOWN)
              .map(({ atMs, text }) => [spanLabel(Math.max(0, atMs - startMs)), text]),
            folded: true,
          },
        ]),
  ];

  function filterTable({ comparison: compared }: Result): Report['tables'][number] {
    const predictedOf = (filter: string) => compared?.prediction.typical.filters[filter];
    return {
      title: 'Filter by filter',
      head: [
        '',
        'Steps',
        'Work, mean',
        'Work, p95',
        'In queue, p50',
        'In queue, p95',
        'Predicted p95',
        'Most workers',
        'Longest queue',
      ],
      rows: Object.entries(measured.filters).map(([filter, own]) => [
        filter,
        own.steps,
        spanLabel(own.workMs.mean),
        spanLabel(own.workMs.p95),
        spanLabel(own.waitMs.p50),
        spanLabel(own.waitMs.p95),
        predictedOf(filter) === undefined ? '–' : spanLabel(predictedOf(filter)?.waitMs.p95 ?? 0),
        own.peakReplicas,
        own.peakReady,
      ]),
    };
  }
}

function toldTable(told: NonNullable<Result['comparison']>['told']): Report['tables'][number] {
  const orDefault = (measuredMs: number | undefined, usedMs: number) =>
    `${spanLabel(usedMs)}${measuredMs === undefined ? ' (assumed)' : ''}`;
  return {
    title: 'What the simulator was told',
    head: [
      '',
      'Work, mean',
      'Hand-over to the next task',
      'Start of a worker',
      'Counts renewed every',
      'Workers at first',
    ],
    rows: Object.entries(told).map(([filter, own]) => [
      filter,
      spanLabel(own.workMeanMs),
      spanLabel(own.handoverMs),
      orDefault(own.startMs, own.podStartMs),
      orDefault(own.statsIntervalMs, own.statsMs),
      own.initialReplicas,
    ]),
    folded: true,
  };
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

function courseOf(arrivalsMs: number[], waitsMs: number[]): WaitCourse {
  return waitCourse(
    { arrivalsMs: Float64Array.from(arrivalsMs), durationMs: 0 },
    { waitsMs: Float32Array.from(waitsMs) },
  );
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

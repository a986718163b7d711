/** The page of a load test: what was measured in solid lines, what the simulator predicts in dashed ones. */

import type { Report, ReportFigure } from '../../keda/report/report.ts';
import { spanLabel } from '../../keda/report/scale.ts';
import { comparedHead, comparedRows, findingsOf, shown } from './findings.ts';
import { nothingEnded } from './ledger.ts';
import { panelsOf } from './panels.ts';
import { failuresOf, machine, type Result } from './result.ts';

const REMARKS_SHOWN = 300;
/** More kinds of task go to a table. */
const RECIPES_IN_TITLE = 2;

export function loadPage(result: Result): Report {
  const { profile, account, target, recipes, photos, startMs } = result;
  const kinds = recipes.length > RECIPES_IN_TITLE ? `${recipes.length} kinds of task` : recipes.join(' and ');
  const { cpu, cores, node } = machine();
  const version = target.rabbitmq === undefined ? '' : ` · RabbitMQ ${target.rabbitmq}`;
  return {
    title: `${profile.charAt(0).toUpperCase()}${profile.slice(1)}: ${account.submitted.toLocaleString('en')} tasks, measured`,
    subtitle: `${kinds} over ${photos} ${photos === 1 ? 'photo' : 'photos'} · ${target.about}${version} · ${cores} × ${cpu}, Node ${node} · ${new Date(startMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    figures: figures(result),
    findings: findingsOf(result),
    panels: panelsOf(result),
    tables: tables(result),
    command: result.command,
  };
}

function figures({ measured, account, verdicts, comparison }: Result): ReportFigure[] {
  const verdictOf = (name: string): Pick<ReportFigure, 'verdict'> => {
    const verdict = verdicts.find((candidate) => candidate.name === name);
    return verdict === undefined ? {} : { verdict: verdict.passed ? 'good' : 'bad' };
  };
  const span = (ms: number) => (nothingEnded(account) ? '–' : spanLabel(ms));
  const limitOf = (name: string) => verdicts.find((candidate) => candidate.name === name)?.limit;
  const predicted = (name: string) => {
    const figure = comparison?.figures.find((candidate) => candidate.name === name);
    return figure === undefined ? undefined : `predicted ${shown(figure.unit, figure.predicted)}`;
  };
  const detail = (...parts: (string | undefined)[]) =>
    parts.filter((part) => part !== undefined).join(' · ') || undefined;
  return [
    {
      label: 'Wait p95',
      value: span(measured.waitMs.p95),
      detail: detail(limitOf('wait-p95'), predicted('Time in queue, p95')),
      ...verdictOf('wait-p95'),
    },
    {
      label: 'Latency p95',
      value: span(measured.latencyMs.p95),
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

function tables(result: Result): Report['tables'] {
  const { verdicts, comparison, measured, remarks, entries, recipes, startMs } = result;
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
    ...(recipes.length > RECIPES_IN_TITLE
      ? [{ title: 'Kinds of task', head: ['Steps'], rows: recipes.map((steps) => [steps]), folded: true }]
      : []),
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

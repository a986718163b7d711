/** The page of a load test: what was measured in solid lines, what the simulator predicts in dashed ones. */

import type { Report, ReportFigure, ReportTable } from '../../keda/report/report.ts';
import { countLabel, spanLabel } from '../../keda/report/scale.ts';
import { machine } from '../support/machine.ts';
import { comparedHead, comparedRows, findingsOf, shown } from './findings.ts';
import { nothingEnded } from './load-ledger.ts';
import { panelsOf } from './panels.ts';
import { failuresOf, type Result } from './result.ts';
import type { ThresholdVerdict } from './thresholds.ts';

const REMARKS_SHOWN = 300;
/** More kinds of task go to a table. */
const RECIPES_IN_TITLE = 2;

export function loadPage(result: Result): Report {
  const { profile, account, target, recipes, photos, startMs } = result;
  const kinds = recipes.length > RECIPES_IN_TITLE ? `${recipes.length} kinds of task` : recipes.join(' and ');
  const { cpu, cores, node } = machine();
  const version = target.rabbitmq === undefined ? '' : ` · RabbitMQ ${target.rabbitmq}`;
  return {
    title: `${profile.charAt(0).toUpperCase()}${profile.slice(1)}: ${countLabel(account.submitted)} tasks, measured`,
    subtitle: `${kinds} over ${photos} ${photos === 1 ? 'photo' : 'photos'} · ${target.about}${version} · ${cores} × ${cpu}, Node ${node} · ${new Date(startMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    figures: figures(result),
    findings: findingsOf(result),
    panels: panelsOf(result),
    tables: tables(result),
    command: result.command,
  };
}

function figures(result: Result): ReportFigure[] {
  const { measured, account, verdicts } = result;
  const span = (ms: number) => (nothingEnded(account) ? '–' : spanLabel(ms));
  const { waitMs, latencyMs, throughput, makespanMs, peakReplicas } = measured;
  const verdictOf = (name: ThresholdVerdict['name']) => verdicts.find((verdict) => verdict.name === name);
  const [wait, latency, rate] = [verdictOf('wait-p95'), verdictOf('latency-p95'), verdictOf('throughput')];
  const predictedWait = predictedText(result, 'Time in queue, p95');
  const predictedLatency = predictedText(result, 'Total latency, p95');
  const failed = String(account.failed + account.cancelled);
  return [
    figure('Wait p95', span(waitMs.p95), wait, wait?.limit, predictedWait),
    figure('Latency p95', span(latencyMs.p95), latency, latency?.limit, predictedLatency),
    figure('Throughput', `${throughput.toFixed(1)}/s`, rate, rate?.limit, `all in ${spanLabel(makespanMs)}`),
    figure('Most workers', String(peakReplicas), undefined, predictedText(result, 'Most workers')),
    figure('Failed', failed, verdictOf('failed'), `${account.retries} retries`),
    figure('Lost', String(account.lost), verdictOf('lost'), `of ${countLabel(account.submitted)}`),
  ];
}

function figure(
  label: string,
  value: string,
  verdict: ThresholdVerdict | undefined,
  ...details: (string | undefined)[]
): ReportFigure {
  const detail = details.filter((part) => part !== undefined).join(' · ');
  const color = verdict?.passed === true ? 'good' : 'bad';
  return { label, value, detail: detail || undefined, verdict: verdict === undefined ? undefined : color };
}

function predictedText({ comparison }: Result, name: string): string | undefined {
  const figure = comparison?.figures.find((candidate) => candidate.name === name);
  return figure === undefined ? undefined : `predicted ${shown(figure.unit, figure.predicted)}`;
}

function tables(result: Result): ReportTable[] {
  const { verdicts, comparison, recipes } = result;
  const all: (ReportTable | undefined)[] = [
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
    failureTable(result),
    filterTable(result),
    recipes.length > RECIPES_IN_TITLE
      ? { title: 'Kinds of task', head: ['Steps'], rows: recipes.map((steps) => [steps]), folded: true }
      : undefined,
    comparison === undefined ? undefined : toldTable(comparison.told),
    remarkTable(result),
  ];
  return all.filter((table) => table !== undefined);
}

function failureTable({ entries }: Result): ReportTable | undefined {
  const failures = failuresOf(entries);
  if (failures.length === 0) return undefined;
  return {
    title: 'Why tasks failed',
    head: ['Tasks', 'Type', 'Reason'],
    rows: failures.map(({ tasks, type, reason }) => [tasks, type, reason]),
  };
}

function filterTable({ measured, comparison }: Result): ReportTable {
  const predictedWait = (filter: string) => comparison?.prediction.typical.filters[filter]?.waitMs.p95;
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
      predictedWait(filter) === undefined ? '–' : spanLabel(predictedWait(filter) as number),
      own.peakReplicas,
      own.peakReady,
    ]),
  };
}

function toldTable(told: NonNullable<Result['comparison']>['told']): ReportTable {
  const orDefault = (measuredMs: number | undefined, usedMs: number) =>
    `${spanLabel(usedMs)}${measuredMs === undefined ? ' (assumed)' : ''}`;
  return {
    title: 'What the simulator was told',
    head: [
      '',
      'Work, mean',
      'Hand-over to the next task',
      'StepStart of a worker',
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

function remarkTable({ remarks, startMs }: Result): ReportTable | undefined {
  if (remarks.length === 0) return undefined;
  return {
    title: `What scaling did, and why (${remarks.length})`,
    head: ['At', ''],
    rows: remarks
      .slice(0, REMARKS_SHOWN)
      .map(({ atMs, text }) => [spanLabel(Math.max(0, atMs - startMs)), text]),
    folded: true,
  };
}

/** The page of a simulation: figures, sentences, charts and tables. */

import { type Series, type Summary, waitCourse } from '../simulator.ts';
import type { Suggestion } from '../suggest.ts';
import { findings, type SimulatedScenario, suggestionSentences, summaryRows } from './findings.ts';
import { evenly, type Report, type ReportPanel, type ReportSeries } from './report.ts';
import { countLabel, spanLabel } from './scale.ts';

/** Longer lists of scale changes are cut on the page; JSON has them all. */
const CHANGES_SHOWN = 200;
/** Arrivals this many times quicker than the work would flatten its line. */
const BURST_RATIO = 4;
const WAIT_NOTE = 'Of the messages whose work begins at that moment.';
const COMPARED_COLORS = ['blue', 'amber'] as const;

/** The page of one scenario, or of two compared. */
export function simulationReport(
  scenarios: readonly SimulatedScenario[],
  suggestion: Suggestion | undefined,
  { title, subtitle, command }: Pick<Report, 'title' | 'subtitle' | 'command'>,
): Report {
  const [first] = scenarios;
  if (first === undefined) throw new RangeError('a report needs a scenario');
  const names = scenarios.map(({ name }) => name);
  return {
    title,
    subtitle,
    figures: figures(scenarios),
    findings: [...findings(scenarios), ...(suggestion === undefined ? [] : suggestionSentences(suggestion))],
    panels: scenarios.length > 1 ? comparedPanels(scenarios) : ownPanels(first),
    tables: [
      { title: 'All figures', head: ['', ...names], rows: summaryRows(scenarios) },
      ...scenarios.map(({ name, run }) => ({
        title: `Scale changes: ${name} (${run.changes.length})`,
        head: ['At', 'From', 'To', 'Why'],
        rows: run.changes
          .slice(0, CHANGES_SHOWN)
          .map(({ atMs, from, to, reason }) => [spanLabel(atMs), from, to, reason]),
        folded: true,
      })),
    ],
    command,
  };
}

function figures(scenarios: readonly SimulatedScenario[]): Report['figures'] {
  const [first, second] = scenarios;
  if (first === undefined) return [];
  const figure = (label: string, value: (summary: Summary) => string) => ({
    label,
    value: value(first.summary),
    detail: second === undefined ? undefined : `${value(second.summary)} with ${second.name}`,
  });
  return [
    figure('Wait p95', ({ waitMs }) => spanLabel(waitMs.p95)),
    figure('Wait p50', ({ waitMs }) => spanLabel(waitMs.p50)),
    figure('Most replicas', ({ maxReplicas }) => String(maxReplicas)),
    figure('Pod-hours', ({ podHours }) => podHours.toFixed(2)),
    ...(first.summary.cost === null ? [] : [figure('Cost', ({ cost }) => (cost ?? 0).toFixed(2))]),
    figure('Slots at work', ({ utilisation }) => `${Math.round(utilisation * 100)} %`),
    figure('At rest after', ({ timeToRestMs }) =>
      timeToRestMs === null ? 'never' : spanLabel(timeToRestMs),
    ),
  ];
}

function ownPanels({ options, run }: SimulatedScenario): ReportPanel[] {
  const { series } = run;
  const { slots } = options.settings;
  const filled = series.busy.map((busy) => busy / slots);
  const course = waitCourse(options.load, run);
  return [
    {
      title: 'Replicas',
      unit: 'pods',
      series: [
        { name: 'wanted', ...evenly(series.stepMs, series.replicas), color: 'blue', shape: 'step' },
        { name: 'busy', ...evenly(series.stepMs, filled), color: 'teal', shape: 'area' },
      ],
    },
    {
      title: 'Queue depth',
      unit: 'messages',
      series: [{ name: 'waiting', ...evenly(series.stepMs, series.depth), color: 'amber', shape: 'area' }],
    },
    throughputPanel(series),
    {
      title: 'Wait until work begins',
      unit: 's',
      series: [
        { name: 'p95', ...evenly(course.stepMs, inSeconds(course.p95Ms)), color: 'violet' },
        { name: 'p50', ...evenly(course.stepMs, inSeconds(course.p50Ms)), color: 'rose' },
      ],
      note: WAIT_NOTE,
    },
  ];
}

/** A burst arrives far faster than it is worked on: the axis then follows the work. */
function throughputPanel({ stepMs, arrived, completed }: Series): ReportPanel {
  const busiest = Math.max(...completed);
  const burst = Math.max(...arrived);
  const cut = burst > busiest * BURST_RATIO && busiest > 0;
  return {
    title: 'Throughput',
    unit: 'messages/s',
    series: [
      { name: 'arriving', ...evenly(stepMs, arrived), color: 'grey' },
      { name: 'completed', ...evenly(stepMs, completed), color: 'teal' },
    ],
    top: cut ? busiest * 1.1 : undefined,
    note: cut ? `Arrivals go beyond the axis, to ${countLabel(Math.round(burst))} a second.` : undefined,
  };
}

function comparedPanels(scenarios: readonly SimulatedScenario[]): ReportPanel[] {
  const lines = (
    pick: (scenario: SimulatedScenario) => Pick<ReportSeries, 'timesMs' | 'values'>,
    shape: ReportSeries['shape'],
  ): ReportSeries[] =>
    scenarios.map((scenario, index) => ({
      name: scenario.name,
      ...pick(scenario),
      color: COMPARED_COLORS[index] ?? 'grey',
      shape,
    }));
  const ofRun = (pick: (series: Series) => number[], shape: ReportSeries['shape'] = 'line') =>
    lines(({ run }) => evenly(run.series.stepMs, pick(run.series)), shape);
  const waits = lines(({ options, run }) => {
    const course = waitCourse(options.load, run);
    return evenly(course.stepMs, inSeconds(course.p95Ms));
  }, 'line');
  return [
    { title: 'Replicas wanted', unit: 'pods', series: ofRun(({ replicas }) => replicas, 'step') },
    { title: 'Queue depth', unit: 'messages', series: ofRun(({ depth }) => depth) },
    { title: 'Wait until work begins, p95', unit: 's', series: waits, note: WAIT_NOTE },
    { title: 'Completed', unit: 'messages/s', series: ofRun(({ completed }) => completed) },
  ];
}

function inSeconds(valuesMs: readonly number[]): number[] {
  return valuesMs.map((ms) => ms / 1_000);
}

/** How `darkroom simulate` answers: tables for people, JSON for programs. */
import {
  findings,
  type SimulatedScenario,
  suggestionSentences,
  summaryRows,
} from '../../../keda/report/findings.ts';
import { spanLabel } from '../../../keda/report/scale.ts';
import { valuesSnippet } from '../../../keda/simulator/values-snippet.ts';
import type { Candidate, Suggestion } from '../../../keda/suggest.ts';
import { bold, dim, print, printTable } from '../terminal.ts';

const DECIMALS = 3;

export function printScenarios(scenarios: SimulatedScenario[]): void {
  printTable(['', ...scenarios.map(({ name }) => name)], summaryRows(scenarios));
  for (const sentence of findings(scenarios)) print(`\n${sentence}`);
}

export function printSuggestion(suggestion: Suggestion, functionName: string | undefined): void {
  print(
    `\n${bold('Suggestion')} ${dim(`(${suggestion.runs} settings tried, the first poll at the worst moment)`)}`,
  );
  for (const sentence of suggestionSentences(suggestion)) print(sentence);
  const { best, current, alternatives } = suggestion;
  if (best === null) return;
  print(`\n${dim('# values')}\n${valuesSnippet(best.settings, current.settings, functionName)}`);
  const rows = alternativeRows(alternatives);
  if (rows.length > 1)
    printTable(['Messages a replica', 'Max replicas', 'Wait p95', 'Pod-hours', 'Busy pods hit'], rows);
}

/** Alternatives that come to the same share a row. */
function alternativeRows(alternatives: readonly Candidate[]): string[][] {
  const rows = new Map<string, { messages: number[]; cells: string[] }>();
  for (const { settings, summary } of alternatives) {
    const cells = [
      String(settings.maxReplicas),
      spanLabel(summary.waitMs.p95),
      summary.podHours.toFixed(2),
      String(summary.busyPodsHit),
    ];
    const row = rows.get(cells.join()) ?? { messages: [], cells };
    row.messages.push(settings.messagesPerReplica);
    rows.set(cells.join(), row);
  }
  return [...rows.values()].map(({ messages, cells }) => [
    messages.sort((a, b) => a - b).join(', '),
    ...cells,
  ]);
}

export function scenarioJson({ name, options, run, summary }: SimulatedScenario): object {
  const columns = Object.entries(run.series).map(([key, value]) => [
    key,
    Array.isArray(value) ? value.map(rounded) : value,
  ]);
  return {
    name,
    settings: options.settings,
    summary,
    changes: run.changes,
    series: Object.fromEntries(columns),
  };
}

export function suggestionJson({ current, best, fastest, alternatives, runs }: Suggestion): object {
  const brief = ({ settings, summary }: Candidate) => ({ settings, summary });
  return {
    targetMet: best !== null,
    current: brief(current),
    best: best === null ? null : brief(best),
    fastest: brief(fastest),
    alternatives: alternatives.map(brief),
    runs,
  };
}

function rounded(value: number): number {
  return Number(value.toFixed(DECIMALS));
}

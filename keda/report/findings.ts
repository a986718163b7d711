/** What simulations show: a table of their figures, and sentences on what stands out. */
import type { Simulation, SimulationOptions, Summary } from '../simulator.ts';
import type { Candidate, Suggestion } from '../suggest.ts';
import { countLabel, spanLabel } from './scale.ts';

/** One set of values under the load. */
export interface SimulatedScenario extends Simulation {
  name: string;
  options: SimulationOptions;
}

/** One row a figure, one column a scenario. */
export function summaryRows(scenarios: readonly SimulatedScenario[]): string[][] {
  const row = (label: string, cell: (summary: Summary) => string) => [
    label,
    ...scenarios.map(({ summary }) => cell(summary)),
  ];
  const priced = scenarios.some(({ summary }) => summary.cost !== null);
  return [
    row('Messages done', ({ completed, messages }) => `${countLabel(completed)} of ${countLabel(messages)}`),
    row('Wait p50', ({ waitMs }) => spanLabel(waitMs.p50)),
    row('Wait p95', ({ waitMs }) => spanLabel(waitMs.p95)),
    row('Wait p99', ({ waitMs }) => spanLabel(waitMs.p99)),
    row('Wait at most', ({ waitMs }) => spanLabel(waitMs.max)),
    row('Deepest queue', ({ maxDepth }) => countLabel(maxDepth)),
    row('Most replicas', ({ maxReplicas }) => String(maxReplicas)),
    row('Pod-hours', ({ podHours }) => podHours.toFixed(2)),
    ...(priced ? [row('Cost', ({ cost }) => (cost ?? 0).toFixed(2))] : []),
    row('Slots at work', ({ utilisation }) => `${Math.round(utilisation * 100)} %`),
    row('At rest after the last task', ({ timeToRestMs }) =>
      timeToRestMs === null ? 'never' : spanLabel(timeToRestMs),
    ),
    row('Scale changes', ({ scaleChanges }) => String(scaleChanges)),
    row('Busy pods hit by scale-in', ({ busyPodsHit }) => String(busyPodsHit)),
    row('Tasks given back', ({ returned }) => String(returned)),
  ];
}

/** What stands out, in sentences. */
export function findings(scenarios: readonly SimulatedScenario[]): string[] {
  const own = scenarios.flatMap((scenario) => {
    const prefix = scenarios.length > 1 ? `${scenario.name}: ` : '';
    return ownFindings(scenario).map((sentence) => prefix + sentence);
  });
  const [first, second] = scenarios;
  return first === undefined || second === undefined ? own : [comparison(first, second), ...own];
}

function ownFindings({ options, run, summary }: SimulatedScenario): string[] {
  const { settings } = options;
  const sentences: string[] = [];
  if (summary.stranded > 0) {
    const why =
      summary.maxReplicas === 0
        ? `activationMessages ${settings.activationMessages} is never passed`
        : 'no worker starts for them';
    const what = summary.stranded === 1 ? '1 message is' : `${countLabel(summary.stranded)} messages are`;
    sentences.push(`${what} never processed: ${why}.`);
  }
  const atMax = run.series.replicas.filter(
    (count, i) => count >= settings.maxReplicas && (run.series.depth[i] ?? 0) > count,
  ).length;
  if (atMax * run.series.stepMs > 60_000) {
    sentences.push(
      `For ${spanLabel(atMax * run.series.stepMs)} all ${settings.maxReplicas} replicas run and messages still wait: maxReplicas is the limit.`,
    );
  }
  if (summary.busyPodsHit > 0) {
    const rest =
      summary.returned === 0
        ? 'each task is finished in time'
        : `${summary.returned} ${summary.returned === 1 ? 'task goes' : 'tasks go'} back to the queue`;
    sentences.push(
      `Scale-in stops ${summary.busyPodsHit} busy ${summary.busyPodsHit === 1 ? 'pod' : 'pods'}; ${rest}.`,
    );
  }
  return sentences;
}

function comparison(a: SimulatedScenario, b: SimulatedScenario): string {
  const wait = `95 % of messages begin within ${spanLabel(b.summary.waitMs.p95)} instead of ${spanLabel(a.summary.waitMs.p95)}`;
  return `With ${b.name} instead of ${a.name}, ${wait}, for ${change(a.summary.podHours, b.summary.podHours)} pod-hours.`;
}

/** What to change, what it brings and what it costs. */
export function suggestionSentences({ current, best, fastest, targetWaitP95Ms }: Suggestion): string[] {
  const target = `95 % of messages to begin within ${spanLabel(targetWaitP95Ms)}`;
  if (best === null) {
    return [
      `No settings that were tried get ${target}.`,
      `The fastest, ${settingsPhrase(fastest)}, takes ${spanLabel(fastest.summary.waitMs.p95)} for ${fastest.summary.podHours.toFixed(2)} pod-hours.`,
      'The rest is the time to see the queue, to start pods and to add more: raise minReplicas so that some are ready, or make tasks quicker.',
    ];
  }
  const met = current.summary.waitMs.p95 <= targetWaitP95Ms && current.summary.stranded === 0;
  const before = `${spanLabel(current.summary.waitMs.p95)} at ${current.summary.podHours.toFixed(2)} pod-hours`;
  const after = `${spanLabel(best.summary.waitMs.p95)} at ${best.summary.podHours.toFixed(2)} (${change(current.summary.podHours, best.summary.podHours)})`;
  const sentences = [
    `For ${target}: ${settingsPhrase(best)}.`,
    `Wait p95 ${met ? 'is within the target already; it goes' : 'goes'} from ${before} to ${after}.`,
  ];
  if (grows(current, best)) {
    sentences.push(
      'The scale-up policy has to allow all replicas at once: doubling every 15 s takes too long. A burst then starts many pods together, so the cluster needs nodes for them.',
    );
  }
  if (best.settings.pollingIntervalMs < current.settings.pollingIntervalMs) {
    sentences.push('Polling more often wakes the first replica sooner, for more requests to the broker.');
  }
  return sentences;
}

function settingsPhrase({ settings }: Candidate): string {
  const { messagesPerReplica, maxReplicas, pollingIntervalMs } = settings;
  return `messagesPerReplica ${messagesPerReplica}, maxReplicas ${maxReplicas}, pollingInterval ${pollingIntervalMs / 1_000}`;
}

function grows(current: Candidate, best: Candidate): boolean {
  return (
    JSON.stringify(best.settings.behavior?.scaleUp) !== JSON.stringify(current.settings.behavior?.scaleUp)
  );
}

function change(from: number, to: number): string {
  if (from === 0) return to.toFixed(2);
  const percent = Math.round((to / from - 1) * 100);
  return percent === 0 ? 'as many' : `${percent > 0 ? '+' : '−'}${Math.abs(percent)} %`;
}

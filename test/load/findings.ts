/** What a run shows, in sentences and table rows, for the page and for the terminal. */
import { countLabel, spanLabel } from '../../keda/report/scale.ts';
import { type Compared, errorOf } from './comparison.ts';
import { nothingEnded } from './load-ledger.ts';
import type { Result } from './result.ts';
import { verdictWords } from './thresholds.ts';

const SECOND_MS = 1_000;
/** Fewer seconds than this with all workers running are no bottleneck. */
const PRESSED_SECONDS = 5;

/** What stands out, the most important first. */
export function findingsOf(result: Result): string[] {
  return [outcome(result), ...prediction(result), ...bottleneck(result), ...circumstances(result)];
}

/** One row a figure: measured, predicted, between which ends, how far off. */
export function comparedRows({ comparison, measured, account }: Result): string[][] {
  if (comparison === undefined) {
    const span = (ms: number) => (nothingEnded(account) ? '–' : spanLabel(ms));
    return [
      ['Time in queue, p50', span(measured.waitMs.p50)],
      ['Time in queue, p95', span(measured.waitMs.p95)],
      ['Total latency, p95', span(measured.latencyMs.p95)],
      ['First submission to last end', span(measured.makespanMs)],
      ['Most workers', String(measured.peakReplicas)],
      ['Longest queue', countLabel(measured.peakReady)],
    ];
  }
  return comparison.figures.map((figure) => [
    figure.name,
    shown(figure.unit, figure.measured),
    shown(figure.unit, figure.predicted),
    `${shown(figure.unit, figure.low)} – ${shown(figure.unit, figure.high)}`,
    offBy(figure),
  ]);
}

export function comparedHead({ comparison }: Result): string[] {
  return comparison === undefined
    ? ['', 'Measured']
    : ['', 'Measured', 'Predicted', 'All simulated runs', 'Off by'];
}

/** `+4 %`, `−12 %`, `under 1 %`, `exact`; of short times the difference itself, since a share of little says little. */
export function offBy(figure: Compared): string {
  const error = errorOf(figure);
  if (Number.isNaN(error)) return '–';
  const difference = figure.predicted - figure.measured;
  const sign = difference < 0 ? '−' : '+';
  if (figure.unit === 'ms' && figure.measured < SECOND_MS) return `${sign}${spanLabel(Math.abs(difference))}`;
  const percent = Math.round(Math.abs(error) * 100);
  if (difference === 0) return 'exact';
  return percent === 0 ? 'under 1 %' : `${sign}${percent} %`;
}

export function shown(unit: Compared['unit'], value: number): string {
  if (unit === 'ms') return spanLabel(value);
  return unit === 'hours' ? value.toFixed(3) : countLabel(value);
}

function outcome({ account, verdicts, interrupted, stalled, samples }: Result): string {
  const broken = verdicts.filter(({ passed }) => !passed);
  const ended = account.completed + account.failed + account.cancelled;
  const counts = `${countLabel(ended)} of ${countLabel(account.submitted)} tasks ended; ${account.lost === 0 ? 'none is' : `${account.lost} are`} lost`;
  const deserted = samples.at(-1)?.total.consumers === 0 ? ' No worker consumes the queues.' : '';
  const why = stalled ? ` Nothing ended for so long that the run was given up.${deserted}` : '';
  const cut = interrupted ? ' The run was stopped early.' : '';
  if (broken.length === 0) return `All thresholds are kept: ${counts}.${cut}${why}`;
  return `Not kept: ${broken.map(verdictWords).join('; ')}. ${counts}.${cut}${why}`;
}

function prediction({ comparison }: Result): string[] {
  if (comparison === undefined) return [];
  const wait = comparison.figures.find(({ name }) => name === 'Time in queue, p95');
  const span = comparison.figures.find(({ name }) => name === 'First submission to last end');
  if (wait === undefined || span === undefined) return [];
  const runs = comparison.prediction.all.length;
  return [
    `The simulator, given the same arrivals and settings, predicts a time in queue of ${spanLabel(wait.predicted)} at p95 (${spanLabel(wait.low)} to ${spanLabel(wait.high)} in ${runs} runs) where ${spanLabel(wait.measured)} was measured, and ${spanLabel(span.predicted)} until all is done where it took ${spanLabel(span.measured)}.`,
  ];
}

/** All workers run and messages wait: then the number of workers is the limit. */
function bottleneck({ samples, measured }: Result): string[] {
  const { peakReplicas } = measured;
  const pressed = samples.filter(
    ({ total }) => total.consumers >= peakReplicas && total.ready > total.consumers,
  );
  if (pressed.length < PRESSED_SECONDS || peakReplicas === 0) return [];
  const workers = peakReplicas === 1 ? 'the only worker' : `all ${peakReplicas} workers`;
  return [
    `For ${spanLabel(pressed.length * SECOND_MS)} ${workers} ran and messages still waited: more workers would have shortened the queue.`,
  ];
}

function circumstances({ before, account, refused, latenessP99Ms }: Result): string[] {
  const sentences: string[] = [];
  if (account.unfinished + account.lost > 0)
    sentences.push(
      'The photos and results of this run stay in the storage, under load/, for the tasks that have not ended.',
    );
  if (before.found > 0)
    sentences.push(
      before.purged
        ? `${before.found} messages lay in the queues before and were purged.`
        : `${before.found} messages lay in the queues before: they are in the charts, but in none of the counts.`,
    );
  if (account.others > 0) sentences.push(`${account.others} tasks that are not of this run ended meanwhile.`);
  if (account.retries > 0) sentences.push(`${account.retries} steps had to be tried again.`);
  if (account.repeats > 0)
    sentences.push(`${account.repeats} final events came more than once, as at-least-once delivery may.`);
  if (refused > 0) sentences.push(`The broker refused ${refused} tasks; they are not counted as submitted.`);
  if (latenessP99Ms > SECOND_MS)
    sentences.push(
      `The publisher fell behind its schedule: 1 % of tasks left ${spanLabel(latenessP99Ms)} late or more.`,
    );
  return sentences;
}

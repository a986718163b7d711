/**
 * `npm run load`: puts a load on the queues, watches what becomes of it, and reports. See README.md beside this.
 *
 * The composition root: options, target, run, report, exit code.
 */
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { renderReport } from '../../keda/report/render-report.ts';
import { loadValues } from '../../keda/values.ts';
import { EXIT } from '../../runtime/cli/exit-codes.ts';
import { findPhotos } from '../../runtime/cli/photos.ts';
import { dim, green, note, print, printJson, printTable, red } from '../../runtime/cli/terminal.ts';
import { readConfig } from '../../runtime/config.ts';
import { asError, UserError } from '../../runtime/errors.ts';
import { listFunctions } from '../../runtime/functions.ts';
import { planTask } from '../../runtime/image/pipeline.ts';
import { makeFolders } from '../../runtime/make-folders.ts';
import { StopSignal } from '../../runtime/worker/stop-signal.ts';
import { runScript } from '../support/run-command.ts';
import { conduct } from './conduct.ts';
import { comparedHead, comparedRows, findingsOf } from './findings.ts';
import { loadPage } from './load-page.ts';
import { type LoadOptions, loadCommand } from './options.ts';
import { amountOf } from './profiles.ts';
import { LoadProgress } from './progress.ts';
import { failuresOf, type Result, resultJson } from './result.ts';
import { openLocal } from './targets/local.ts';
import { openClusterTarget, openRemote } from './targets/remote.ts';
import { kindOf, type Target } from './targets.ts';
import { filtersOf, PHOTOS, recipesOf } from './tasks.ts';
import { verdictWords } from './thresholds.ts';

/** A hurried cool-down is soon over, so its end is waited for. */
const HURRIED_SETTLE_MS = 60_000;
/** The report has them all. */
const FAILURES_SHOWN = 3;

process.exitCode = await runScript(async () => {
  let exitCode: number = EXIT.ok;
  await loadCommand(async (options) => {
    exitCode = await main(options);
  }).parseAsync();
  return exitCode;
});

async function main(options: LoadOptions): Promise<number> {
  const { profile, seed } = options;
  const amount = amountOf(profile, { ...options, durationMs: options.duration });
  const { functionsDir } = readConfig();
  const recipes = recipesOf(profile, options.filter, listFunctions(functionsDir));
  for (const steps of recipes) await planTask({ steps, output: {} }, functionsDir);
  const photos = await findPhotos(options.photos ?? [PHOTOS]);
  await using target = await openTarget(options, filtersOf(recipes));
  const result = await conduct({
    profile,
    amount,
    seed,
    recipes,
    photos,
    target,
    purge: options.purge === true,
    keep: options.keep === true,
    settleMs: options.settle ?? (options.speed > 1 ? HURRIED_SETTLE_MS : 0),
    stallMs: options.stall,
    limits: {
      maxWaitP95Ms: options.maxWaitP95,
      maxLatencyP95Ms: options.maxLatencyP95,
      minThroughput: options.minThroughput,
      lost: options.lost,
      failed: options.failed,
    },
    progress: new LoadProgress(amount.messages, options.json === true),
    ...interrupts(),
    command: commandLine(),
  });
  await report(result, options);
  return exitCodeOf(result);
}

async function openTarget(options: LoadOptions, filters: string[]): Promise<Target> {
  const kind = kindOf(options.target, process.env);
  if (kind !== 'local' && options.speed !== 1)
    throw new UserError(`--speed hurries the workers of this machine only; the target is ${kind}.`);
  if (kind === 'broker') return await openRemote();
  const values = loadValues(options.values);
  if (kind === 'cluster') return await openClusterTarget(values, options);
  return await openLocal({ filters, values, speed: options.speed, maxWorkers: options.maxWorkers });
}

/** The first Ctrl-C ends publishing, the second the wait for what was published. */
function interrupts(): { stop: AbortSignal; abandon: AbortSignal } {
  const stop = new StopSignal(['SIGINT', 'SIGTERM']);
  const abandon = new AbortController();
  void stop.requested.then(() =>
    note('\nNo more is published; what was sent is worked off. Ctrl-C again does not wait for it.'),
  );
  void stop.repeated.then(() => abandon.abort());
  return { stop: stop.signal, abandon: abandon.signal };
}

async function report(result: Result, { out, html, json }: LoadOptions): Promise<void> {
  const page = renderReport(loadPage(result));
  const data = resultJson(result);
  const stamp = new Date(result.startMs).toISOString().slice(0, 19).replaceAll(':', '-');
  const folder = out ?? join('darkroom-results', `load-${result.profile}-${stamp}`);
  try {
    await makeFolders(resolve(folder));
    await writeFile(join(folder, 'report.html'), page);
    await writeFile(join(folder, 'report.json'), `${JSON.stringify(data, null, 1)}\n`);
    if (html !== undefined) await writeFile(html, page);
  } catch (error) {
    note(`The report cannot be written: ${asError(error).message}`);
  }
  if (json === true) return printJson(data);
  printTable(comparedHead(result), comparedRows(result));
  for (const sentence of findingsOf(result)) print(`\n${sentence}`);
  for (const { tasks, type, reason } of failuresOf(result.entries).slice(0, FAILURES_SHOWN))
    print(`\n${tasks} failed: ${type}: ${reason}`);
  print();
  for (const verdict of result.verdicts)
    print(`${verdict.passed ? green('kept    ') : red('NOT KEPT')}  ${verdictWords(verdict)}`);
  print(dim(`\n${join(folder, 'report.html')}  ${join(folder, 'report.json')}`));
}

function exitCodeOf({ verdicts, interrupted }: Result): number {
  if (interrupted) return EXIT.interrupted;
  return verdicts.every(({ passed }) => passed) ? EXIT.ok : EXIT.failed;
}

function commandLine(): string {
  const words = process.argv.slice(2).map((word) => (/[\s"']/.test(word) ? JSON.stringify(word) : word));
  return `npm run load -- ${words.join(' ')}`.trim();
}

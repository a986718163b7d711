/** One load test from the first message to the last: publish on time, record, drain, and bring in the books. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentiles } from '../../keda/simulator.ts';
import type { Step } from '../../runtime/task/task.ts';
import { compare } from './comparison.ts';
import { accountOf, type LoadAccount, LoadLedger } from './load-ledger.ts';
import { measure } from './measured.ts';
import { type Amount, arrivalsOf, type LoadProfile } from './profiles.ts';
import type { LoadProgress } from './progress.ts';
import { type Recorder, startRecorder } from './recorder.ts';
import type { Result } from './result.ts';
import { sendOnSchedule } from './schedule.ts';
import { LoadSite } from './site.ts';
import type { Target } from './targets.ts';
import { filtersOf, planTasks } from './tasks.ts';
import { judge, type Limits } from './thresholds.ts';

export interface LoadTest {
  profile: LoadProfile;
  amount: Amount;
  seed: number;
  recipes: Step[][];
  photos: string[];
  target: Target;
  purge: boolean;
  /** Leave photos and results in the storage. */
  keep: boolean;
  /** After the last end, record until the workers are at rest, at most so long. */
  settleMs: number;
  /** Give up when no task has ended for so long. */
  stallMs: number;
  limits: Limits;
  progress: LoadProgress;
  /** Ends publishing. */
  stop: AbortSignal;
  /** Ends waiting for what was published. */
  abandon: AbortSignal;
  command: string;
}

const POLL_MS = 200;
/** The management API's counts are up to five seconds old; nothing is anywhere when they say so for so long. */
const EMPTY_MS = 15_000;

export async function conduct(test: LoadTest): Promise<Result> {
  const { target, progress, recipes } = test;
  const filters = filtersOf(recipes);
  const run = `load-${Date.now().toString(36)}-${randomBytes(3).toString('hex')}`;
  const ledger = new LoadLedger();
  const site = await LoadSite.open(target.installation, ledger, { run, filters });
  const before = await clear(test, site);
  const keys = await site.upload(test.photos);
  if (!(await site.countsAreThere()))
    progress.say(
      'The management API does not answer: what is in work cannot be counted (AMQP_MANAGEMENT_URL).',
    );
  const startMs = Date.now();
  const onSample = progress.show.bind(progress);
  const recorder = startRecorder({ site, target, ledger, startMs, onSample });
  progress.phase('publishing');
  const sent = await publish(test, site, ledger, { run, keys });
  progress.phase('draining');
  const stalled = await drained(test, site, ledger);
  progress.phase('at rest?');
  await settled(test, recorder);
  await recorder.stop();
  progress.stop();
  const account = await bringIn(test, site, ledger, before);
  const entries = [...ledger.entries.values()];
  const measured = measure(entries, recorder.samples);
  const interrupted = test.stop.aborted;
  // What is still queued needs its photo.
  if (!test.keep && account.unfinished + account.lost === 0) await site.tidy();
  return {
    command: test.command,
    profile: test.profile,
    seed: test.seed,
    startMs,
    recipes: recipes.map((steps) => steps.map(({ filter }) => filter).join(' → ')),
    photos: test.photos.length,
    planned: test.amount,
    target: { kind: target.kind, about: target.about, speed: target.speed, rabbitmq: site.version },
    before,
    interrupted,
    stalled,
    ...sent,
    account,
    measured,
    verdicts: judge(test.limits, measured, account, interrupted),
    comparison: compare(ledger, recorder.samples, measured, target, startMs),
    samples: recorder.samples,
    remarks: target.remarks,
    entries,
  };
}

async function clear({ purge, progress }: LoadTest, site: LoadSite): Promise<Result['before']> {
  const found = purge ? await site.purge() : await site.total();
  const words = purge
    ? `Purged ${found} messages from the queues.`
    : `${found} messages lie in the queues already. They are worked on first and counted apart; --purge removes them.`;
  if (found > 0) progress.say(words);
  return { found, purged: purge };
}

async function publish(
  test: LoadTest,
  site: LoadSite,
  ledger: LoadLedger,
  { run, keys }: { run: string; keys: ReadonlyMap<string, string> },
): Promise<Pick<Result, 'refused' | 'latenessP99Ms'>> {
  const { arrivalsMs } = arrivalsOf(test.profile, test.amount, test.seed);
  const tasks = planTasks(test.recipes, test.photos, arrivalsMs.length, test.seed);
  let refused = 0;
  const { latenessMs } = await sendOnSchedule({
    arrivalsMs,
    signal: test.stop,
    async send(index) {
      const { steps, photo } = tasks[index] as (typeof tasks)[number];
      const id = `${run}-${index}`;
      ledger.submit({ id, filter: (steps[0] as Step).filter });
      if (await site.submit({ id, input: keys.get(photo) as string, steps })) return;
      ledger.withdraw(id);
      refused++;
    },
  });
  return { refused, latenessP99Ms: percentiles(latenessMs).p99 };
}

/** Waits until every task has ended. @returns whether it was given up because nothing ended any more */
async function drained({ abandon, stallMs }: LoadTest, site: LoadSite, ledger: LoadLedger): Promise<boolean> {
  let open = ledger.open;
  let sinceMs = performance.now();
  let emptySinceMs: number | undefined;
  while (ledger.open > 0 && !abandon.aborted) {
    await sleep(POLL_MS, undefined, { signal: abandon }).catch(() => {});
    const nowMs = performance.now();
    if (ledger.open !== open) {
      open = ledger.open;
      sinceMs = nowMs;
      emptySinceMs = undefined;
    }
    if (nowMs - sinceMs > stallMs) return true;
    if (nowMs - sinceMs < EMPTY_MS) continue;
    emptySinceMs = (await site.total()) > 0 ? undefined : (emptySinceMs ?? nowMs);
    if (emptySinceMs !== undefined && nowMs - emptySinceMs > EMPTY_MS) return false;
  }
  return false;
}

/** Records on until no more workers are asked for than at rest. */
async function settled(test: LoadTest, recorder: Recorder): Promise<void> {
  const { settleMs, target, abandon, stop, recipes } = test;
  const least = filtersOf(recipes).map((filter) => target.settings(filter)?.minReplicas ?? 0);
  const atRest = least.reduce((sum, count) => sum + count, 0);
  const deadlineMs = performance.now() + settleMs;
  while (performance.now() < deadlineMs && !abandon.aborted && !stop.aborted) {
    const total = recorder.samples.at(-1)?.total;
    if (total !== undefined && total.wanted <= atRest && total.consumers <= atRest) return;
    await sleep(POLL_MS);
  }
}

/** The books: events, dead letters, queues and results together. */
async function bringIn(
  { abandon }: LoadTest,
  site: LoadSite,
  ledger: LoadLedger,
  before: Result['before'],
): Promise<LoadAccount> {
  if (ledger.open > 0 || ledger.counts.failed > 0) await site.readDeadLetters(ledger);
  const deadlineMs = performance.now() + EMPTY_MS;
  let inQueues = await site.total();
  // After a second Ctrl-C the counts may be older than the last deliveries.
  while (abandon.aborted && inQueues < ledger.open && performance.now() < deadlineMs) {
    await sleep(POLL_MS);
    inQueues = await site.total();
  }
  const completed = [...ledger.entries.values()].filter(({ ending }) => ending === 'completed');
  const missing = await site.withoutResult(completed.map(({ id }) => id));
  const others = before.purged ? 0 : Math.max(0, before.found - ledger.counts.others);
  return accountOf(ledger.counts, inQueues - others, missing.length);
}

/** Writes down once a second how things stand: queues, workers, and what has come and gone. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadLedger } from './load-ledger.ts';
import type { LoadSite, QueueCounts } from './site.ts';
import type { Target } from './targets.ts';

/** One filter, or all together, at one moment. NaN where nobody can say. */
export interface Level extends QueueCounts {
  /** Workers that consume; the broker counts each of their slots. */
  consumers: number;
  /** Workers asked for, and workers that exist. */
  wanted: number;
  running: number;
}

export interface Sample {
  /** Milliseconds from the start of the run. */
  atMs: number;
  total: Level;
  filters: Record<string, Level>;
  /** So far. */
  submitted: number;
  completed: number;
  failed: number;
  retries: number;
}

export interface Recorder {
  readonly samples: readonly Sample[];
  /** Takes one more and stops. */
  stop(): Promise<void>;
}

export interface RecorderOptions {
  site: Pick<LoadSite, 'counts'>;
  target: Pick<Target, 'replicas' | 'settings'>;
  ledger: Pick<LoadLedger, 'counts'>;
  /** The start of the run, milliseconds since 1970. */
  startMs: number;
  onSample?: (sample: Sample) => void;
}

const INTERVAL_MS = 1_000;

export function startRecorder(options: RecorderOptions): Recorder {
  const { site, target, ledger, startMs, onSample = () => {} } = options;
  const samples: Sample[] = [];
  const stopping = new AbortController();
  const running = run();
  return {
    samples,
    async stop() {
      stopping.abort();
      await running;
      await take();
    },
  };

  /** Each second has its own moment; one that a slow answer overran is left out, not caught up with. */
  async function run(): Promise<void> {
    for (let tick = 0; !stopping.signal.aborted; tick++) {
      const earlyMs = startMs + tick * INTERVAL_MS - Date.now();
      if (earlyMs < -INTERVAL_MS) continue;
      await sleep(Math.max(0, earlyMs), undefined, { signal: stopping.signal }).catch(() => {});
      if (!stopping.signal.aborted) await take();
    }
  }

  async function take(): Promise<void> {
    const atMs = Date.now() - startMs;
    const [counts, replicas] = await Promise.all([site.counts(), target.replicas()]);
    const unknown = { wanted: Number.NaN, running: Number.NaN };
    const levels = [...counts].map(([filter, count]): [string, Level] => [
      filter,
      { ...count, consumers: workersOf(filter, count), ...(replicas?.get(filter) ?? unknown) },
    ]);
    const { submitted, completed, failed, retries } = ledger.counts;
    const total = sum(levels.map(([, level]) => level));
    const soFar = { submitted, completed, failed, retries };
    const sample: Sample = { atMs, total, filters: Object.fromEntries(levels), ...soFar };
    samples.push(sample);
    onSample(sample);
  }

  function workersOf(filter: string, { consumers }: QueueCounts): number {
    return Math.ceil(consumers / (target.settings(filter)?.slots ?? 1));
  }
}

function sum(levels: readonly Level[]): Level {
  const total: Level = { ready: 0, consumers: 0, unacked: 0, reported: 0, wanted: 0, running: 0 };
  for (const level of levels)
    for (const key of Object.keys(total) as (keyof Level)[]) total[key] += level[key];
  return total;
}

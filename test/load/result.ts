/** Everything that a finished run knows: what the page, the JSON and the table are made of. */
import { SIMULATION_DEFAULTS } from '../../keda/simulator.ts';
import type { LedgerEntry } from '../support/ledger.ts';
import { machine } from '../support/machine.ts';
import type { Comparison } from './comparison.ts';
import type { LoadAccount } from './load-ledger.ts';
import type { Measured } from './measured.ts';
import type { LoadProfile } from './profiles.ts';
import type { Sample } from './recorder.ts';
import type { Remark, TargetKind } from './targets.ts';
import type { ThresholdVerdict } from './thresholds.ts';

export interface Result {
  command: string;
  profile: LoadProfile;
  seed: number;
  /** Milliseconds since 1970. */
  startMs: number;
  /** What the tasks do, as `resize` or `blur → sharpen → resize`. */
  recipes: string[];
  photos: number;
  planned: { messages: number; durationMs: number };
  target: { kind: TargetKind; about: string; speed: number; rabbitmq: string | undefined };
  /** Messages that lay in the queues before, and were left or purged. */
  before: { found: number; purged: boolean };
  interrupted: boolean;
  stalled: boolean;
  /** Tasks that the broker would not take. */
  refused: number;
  /** How late tasks were handed over, 99th percentile, milliseconds. */
  latenessP99Ms: number;
  account: LoadAccount;
  measured: Measured;
  verdicts: ThresholdVerdict[];
  comparison: Comparison | undefined;
  samples: readonly Sample[];
  remarks: readonly Remark[];
  entries: readonly LedgerEntry[];
}

/** The JSON report: all samples, figures, verdicts, and the prediction with its error. */
export function resultJson(result: Result): object {
  const { comparison, entries, samples, startMs, ...rest } = result;
  return {
    ...rest,
    startedAt: new Date(startMs).toISOString(),
    machine: machine(),
    passed: result.verdicts.every(({ passed }) => passed),
    prediction:
      comparison === undefined
        ? null
        : {
            figures: comparison.figures.map((figure) => ({ ...figure, error: figure.ratio - 1 })),
            told: comparison.told,
            runs: comparison.prediction.all.length,
            drainMs: SIMULATION_DEFAULTS.drainMs,
            series: comparison.prediction.typical.series,
            filters: comparison.prediction.typical.filters,
          },
    failures: failuresOf(entries),
    samples,
    tasks: entries.map(({ id, submittedMs, endedMs, ending, steps }) => ({
      id,
      submittedMs: submittedMs - startMs,
      endedMs: endedMs === undefined ? null : endedMs - startMs,
      outcome: ending ?? null,
      steps,
    })),
  };
}

export interface FailureGroup {
  type: string;
  reason: string;
  tasks: number;
}

/** Failures that say the same count together, most frequent first. */
export function failuresOf(entries: readonly LedgerEntry[]): FailureGroup[] {
  const groups = new Map<string, FailureGroup>();
  for (const { failure } of entries) {
    if (failure === undefined) continue;
    const key = `${failure.type} ${failure.reason}`;
    const group = groups.get(key) ?? { ...failure, tasks: 0 };
    groups.set(key, { ...group, tasks: group.tasks + 1 });
  }
  return [...groups.values()].sort((a, b) => b.tasks - a.tasks);
}

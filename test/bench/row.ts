/** Figures of benchmarks: as rows, and how they are made of several measurements. */
import { note } from '../../runtime/cli/terminal.ts';

/** One figure of a benchmark: ours beside its peer or baseline, measured in the same run. */
export interface BenchmarkRow {
  name: string;
  unit: string;
  /** Absent where it was not measured; `note` says why. */
  ours?: number;
  /** What it is held against, in words; absent for a figure that stands alone. */
  against?: string;
  theirs?: number;
  /** ours ÷ theirs; for the times of filters theirs ÷ ours, so that above 1 is faster. */
  ratio?: number;
  /** In words, such as `≥ 0.95`. */
  goal?: string;
  met?: boolean;
  note?: string;
}

/** What a benchmark is given. */
export interface Bench {
  amqpUrl: string;
  /** So often each measurement is taken; its median counts. */
  rounds: number;
  /** So many of what would be `full` in a run that counts; fewer for a quick look. */
  count(full: number): number;
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** How a cost grows with its work: the slope of the line through their logarithms, by least squares. */
export function slopeOf(work: number[], costs: number[]): number {
  const [xs, ys] = [work.map(Math.log), costs.map(Math.log)];
  const [meanX, meanY] = [mean(xs), mean(ys)];
  const products = xs.map((x, index) => (x - meanX) * (ys[index]! - meanY));
  return mean(products) / mean(xs.map((x) => (x - meanX) ** 2));
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

type Compared = Omit<BenchmarkRow, 'ratio' | 'goal' | 'met'> & { ours: number; theirs: number };

export function compared(row: Compared): BenchmarkRow {
  return { ...row, ratio: row.ours / row.theirs };
}

/** A row whose ratio must be at least `goal`. */
export function atLeast(goal: number, row: Compared): BenchmarkRow {
  const ratio = row.ours / row.theirs;
  return { ...row, ratio, goal: `≥ ${goal}`, met: ratio >= goal };
}

/** A row, of a cost, whose ratio must be at most `goal`. */
export function atMost(goal: number, row: Compared): BenchmarkRow {
  const ratio = row.ours / row.theirs;
  return { ...row, ratio, goal: `≤ ${goal}`, met: ratio <= goal };
}

/** A row that must not be above `goal`, in its own unit. */
export function notAbove(
  goal: number,
  row: Omit<BenchmarkRow, 'goal' | 'met'> & { ours: number },
): BenchmarkRow {
  return { ...row, goal: `≤ ${goal} ${row.unit}`, met: row.ours <= goal };
}

/** A peer or a tool that is not on this machine. */
export class Missing {
  readonly reason: string;

  /** @param reason what is missing, and what would bring it */
  constructor(reason: string) {
    this.reason = reason;
    note(`SKIPPED: ${reason}`);
  }

  row(row: Omit<BenchmarkRow, 'note' | 'met'>): BenchmarkRow {
    return { ...row, note: `SKIPPED: ${this.reason}` };
  }
}

/** One figure of a benchmark: ours beside its peer or baseline, measured in the same run. */
export interface BenchmarkRow {
  name: string;
  unit: string;
  ours: number;
  /** What it is held against, in words; absent for a figure that stands alone. */
  against?: string;
  theirs?: number;
  /** ours ÷ theirs. */
  ratio?: number;
  /** In words, such as `≥ 0.95`. */
  goal?: string;
  met?: boolean;
  note?: string;
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A row whose ratio must be at least `goal`. */
export function atLeast(
  goal: number,
  row: Omit<BenchmarkRow, 'ratio' | 'goal' | 'met'> & { theirs: number },
): BenchmarkRow {
  const ratio = row.ours / row.theirs;
  return { ...row, ratio, goal: `≥ ${goal}`, met: ratio >= goal };
}

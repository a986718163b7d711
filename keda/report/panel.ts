/** What a chart is drawn from. */

export const COLORS = ['blue', 'amber', 'teal', 'violet', 'rose', 'grey'] as const;

/** One line of a chart: values at times, in milliseconds from the start, ascending. NaN leaves a gap. */
export interface ReportSeries {
  name: string;
  timesMs: ArrayLike<number>;
  values: ArrayLike<number>;
  color: (typeof COLORS)[number];
  /** `step` holds each value until the next, as a count does. Default `line`. */
  shape?: 'line' | 'step' | 'area';
  /** Predicted rather than measured. */
  dashed?: boolean;
}

export interface ReportPanel {
  title: string;
  /** What the axis counts: `replicas`, `messages/s`, `s`. */
  unit: string;
  series: ReportSeries[];
  /** Where the axis ends, cutting what lies above; the highest value unless given. */
  top?: number | undefined;
  /** A sentence under the chart. */
  note?: string | undefined;
}

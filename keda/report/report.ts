/** What a report is made of, before it becomes a page. */

export interface Report {
  title: string;
  subtitle: string;
  figures: ReportFigure[];
  /** Sentences that say what the figures mean. */
  findings?: string[];
  panels: ReportPanel[];
  tables: ReportTable[];
  /** How to get this report again: the command line. */
  command?: string | undefined;
}

export interface ReportFigure {
  label: string;
  value: string;
  /** Small print under the value, such as the other file's value or the threshold. */
  detail?: string | undefined;
  /** Coloured as passed or failed. */
  verdict?: 'good' | 'bad' | undefined;
}

export interface ReportTable {
  title: string;
  head: string[];
  rows: (string | number)[][];
  /** Folded away until opened. */
  folded?: boolean;
}

/** One chart. */
export interface ReportPanel {
  title: string;
  /** What the axis counts: `replicas`, `messages/s`, `s`. */
  unit: string;
  series: ReportSeries[];
  /** Where the axis ends, cutting off what lies above; the highest value unless given. */
  top?: number | undefined;
  /** A sentence under the chart. */
  note?: string | undefined;
}

/**
 * One line of a chart: values at times, in milliseconds from the start, ascending, no two in the same millisecond.
 * NaN leaves a gap.
 */
export interface ReportSeries {
  name: string;
  timesMs: ArrayLike<number>;
  values: ArrayLike<number>;
  color: 'blue' | 'amber' | 'teal' | 'violet' | 'rose' | 'grey';
  /** `step` holds each value until the next, as a count does. Default `line`. */
  shape?: 'line' | 'step' | 'area';
  /** Predicted rather than measured. */
  dashed?: boolean;
}

/** A series of equal steps, as the simulator records them; each value stands at its step's beginning. */
export function evenly(stepMs: number, values: ArrayLike<number>): Pick<ReportSeries, 'timesMs' | 'values'> {
  return { timesMs: Float64Array.from({ length: values.length }, (_, index) => index * stepMs), values };
}

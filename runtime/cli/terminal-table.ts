/** Lays out a table within the width of a terminal. */
import { bold, displayWidth, padColumns, truncate } from './terminal-text.ts';

const GAP = '  ';
/** Cells up to this wide, such as numbers, are cut last: a part of them misleads. */
const SHORT_CELL_COLUMNS = 12;
/** The first column names the row, with an id or a file, so it is cut last up to this width. */
const NAME_COLUMNS = 40;

interface TableColumn {
  width: number;
  /** What the cells need that are cut last. */
  least: number;
}

/** The lines of a table that is at most `columns` wide; long cells end in an ellipsis. */
export function tableLines(head: string[], rows: string[][], columns: number): string[] {
  const layout = fitted(
    head.map((title, index) => columnOf(title, rows, index)),
    columns - GAP.length * (head.length - 1),
  );
  const line = (cells: string[]) =>
    cells
      .map((cell, index) => {
        const width = layout[index]?.width ?? 0;
        return padColumns(truncate(cell, width), width);
      })
      .join(GAP)
      .trimEnd();
  return [line(head.map(bold)), ...rows.map(line)];
}

function columnOf(title: string, rows: string[][], index: number): TableColumn {
  const widths = rows.map((cells) => displayWidth(cells[index] ?? ''));
  const most = index === 0 ? NAME_COLUMNS : SHORT_CELL_COLUMNS;
  const short = widths.filter((width) => width <= most);
  return { width: Math.max(1, displayWidth(title), ...widths), least: Math.max(1, ...short) };
}

/** Narrows the widest column first: those with room to spare, then any. */
function fitted(columns: TableColumn[], available: number): TableColumn[] {
  const fit = columns.map((column) => ({ ...column }));
  const total = () => fit.reduce((sum, { width }) => sum + width, 0);
  while (total() > available) {
    const widest = widestOf(fit.filter(({ width, least }) => width > least)) ?? widestOf(fit);
    if (widest === undefined || widest.width === 1) break;
    widest.width--;
  }
  return fit;
}

function widestOf(columns: TableColumn[]): TableColumn | undefined {
  return columns.reduce<TableColumn | undefined>(
    (widest, column) => (widest === undefined || column.width > widest.width ? column : widest),
    undefined,
  );
}

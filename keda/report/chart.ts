/** One chart of a page: its title, its legend and the table of its values, from which page-script.mjs draws it. */
import { embedJson, escapeHtml } from './html.ts';
import type { ReportPanel, ReportSeries } from './report.ts';
import { clockLabel, countLabel, timeLabel, timeTicks, valueLabel, valueTicks } from './scale.ts';

const TIME_TICKS = 9;
const VALUE_TICKS = 4;
const ROUNDED = new Intl.NumberFormat('en', { maximumSignificantDigits: 4 });

/** @param endMs the end of the time axis, shared by all charts of a page so that they can be read together */
export function renderChart(panel: ReportPanel, endMs: number): string {
  const { title, unit, series, note } = panel;
  const rows = valueRows(series);
  return `<section class="card chart">
<div class="head"><h2>${escapeHtml(title)} <span class="unit">${escapeHtml(unit)}</span></h2><ul class="legend">${series.map(legendEntry).join('')}</ul></div>
<div class="plot" role="img" tabindex="0" aria-label="${escapeHtml(describe(panel))}" hidden></div>${note === undefined ? '' : `<p class="note">${escapeHtml(note)}</p>`}
<details class="values" open><summary>As a table, ${countLabel(rows.length)} ${rows.length === 1 ? 'row' : 'rows'}</summary><div class="scroll"><table>
<thead><tr><th>Time${series.map(({ name }) => `<th>${escapeHtml(name)}`).join('')}</thead>
<tbody>
${rows.join('\n')}
</tbody></table></div></details>
<script type="application/json">${embedJson(drawingOf(panel, endMs))}</script>
</section>`;
}

/** One row a time, in order. A dash is a gap in a series; an empty cell only means that another series has this time. */
function valueRows(series: readonly ReportSeries[]): string[] {
  const rows = new Map<number, string[]>();
  for (const [column, { timesMs, values }] of series.entries()) {
    for (let i = 0; i < timesMs.length; i++) {
      const timeMs = Math.round(timesMs[i] as number);
      const cells = rows.get(timeMs) ?? series.map(() => '');
      cells[column] = valueText(values[i] as number);
      rows.set(timeMs, cells);
    }
  }
  return [...rows]
    .sort(([a], [b]) => a - b)
    .map(([timeMs, cells]) => `<tr><th>${[clockLabel(timeMs), ...cells].join('<td>')}</tr>`);
}

function valueText(value: number): string {
  if (Number.isNaN(value)) return '–';
  return Number.isInteger(value) ? countLabel(value) : ROUNDED.format(value);
}

/** What the script needs beside the values. */
function drawingOf({ unit, series, top }: ReportPanel, endMs: number): object {
  return {
    unit,
    endSeconds: endMs / 1_000,
    xTicks: timeTicks(endMs, TIME_TICKS).map((ms) => ({ at: ms / 1_000, label: timeLabel(ms) })),
    yTicks: valueTicks(top ?? highest(series), VALUE_TICKS).map((at) => ({ at, label: valueLabel(at) })),
    series: series.map(({ name, color, shape, dashed }) => ({ name, color, shape, dashed })),
  };
}

function highest(series: readonly ReportSeries[]): number {
  let most = 0;
  for (const { values } of series) {
    for (let i = 0; i < values.length; i++) if ((values[i] as number) > most) most = values[i] as number;
  }
  return most;
}

function legendEntry({ name, color, dashed }: ReportSeries): string {
  return `<li class="${color}${dashed === true ? ' dashed' : ''}">${escapeHtml(name)}</li>`;
}

/** For those who cannot see the chart. */
function describe({ title, unit, series }: ReportPanel): string {
  const peaks = series.map((one) => `${one.name} at most ${valueLabel(highest([one]))}`);
  return `${title} over time, in ${unit}: ${peaks.join(', ')}`;
}

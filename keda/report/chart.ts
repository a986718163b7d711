/** One chart as inline SVG, with the data beside it for hovering. */
import { embedJson, escapeHtml } from './escape.ts';
import type { ReportPanel, ReportSeries } from './report.ts';
import { timeLabel, timeTicks, valueLabel, valueTicks } from './scale.ts';

const WIDTH = 960;
const HEIGHT = 230;
const LEFT = 56;
const RIGHT = 16;
const TOP = 14;
const BOTTOM = 28;
const PLOT_WIDTH = WIDTH - LEFT - RIGHT;
const PLOT_HEIGHT = HEIGHT - TOP - BOTTOM;
const X_TICKS = 9;
const Y_TICKS = 4;

/** Maps values to places in the drawing. */
interface Frame {
  x(ms: number): number;
  y(value: number): number;
}

/** @param endMs the end of the time axis, shared by all charts of a page so that they can be read together */
export function drawChart(panel: ReportPanel, endMs: number): string {
  const xTicks = timeTicks(endMs, X_TICKS);
  const yTicks = valueTicks(panel.top ?? highest(panel.series), Y_TICKS);
  const top = yTicks.at(-1) ?? 1;
  const frame: Frame = {
    x: (ms) => LEFT + (ms / endMs) * PLOT_WIDTH,
    y: (value) => TOP + PLOT_HEIGHT * (1 - Math.min(value, top) / top),
  };
  const shapes = panel.series.map((series) => drawSeries(series, frame, endMs));
  const note = panel.note === undefined ? '' : `<p class="note">${escapeHtml(panel.note)}</p>`;
  return `<section class="card chart" data-left="${LEFT}" data-plot="${PLOT_WIDTH}" data-width="${WIDTH}" data-top="${top}" data-y="${TOP} ${PLOT_HEIGHT}" data-end="${endMs}">
<div class="head"><h2>${escapeHtml(panel.title)} <span class="unit">${escapeHtml(panel.unit)}</span></h2><ul class="legend">${panel.series.map(legendEntry).join('')}</ul></div>
<div class="scroll"><div class="plot">
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" tabindex="0" aria-label="${escapeHtml(describe(panel))}">
${yTicks.map((tick) => gridLine(tick, frame)).join('')}${xTicks.map((tick) => timeTick(tick, frame)).join('')}
<g class="areas">${shapes.map(({ area }) => area).join('')}</g><g>${shapes.map(({ line }) => line).join('')}</g>
<g class="cursor" hidden><line y1="${TOP}" y2="${TOP + PLOT_HEIGHT}"/>${panel.series.map(({ color }) => `<circle r="3.5" class="${color}"/>`).join('')}</g>
</svg><div class="tip" hidden></div></div></div>${note}
<script type="application/json">${embedJson({ unit: panel.unit, series: panel.series.map(hoverData) })}</script>
</section>`;
}

function highest(series: readonly ReportSeries[]): number {
  let most = 0;
  for (const { values } of series) {
    for (let i = 0; i < values.length; i++) if ((values[i] as number) > most) most = values[i] as number;
  }
  return most;
}

function gridLine(tick: number, { y }: Frame): string {
  const at = y(tick).toFixed(1);
  return `<line class="grid${tick === 0 ? ' base' : ''}" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/><text class="tick y" x="${LEFT - 8}" y="${at}">${valueLabel(tick)}</text>`;
}

function timeTick(tick: number, { x }: Frame): string {
  const at = x(tick).toFixed(1);
  return `<line class="grid" x1="${at}" x2="${at}" y1="${TOP + PLOT_HEIGHT}" y2="${TOP + PLOT_HEIGHT + 4}"/><text class="tick x" x="${at}" y="${HEIGHT - 8}">${timeLabel(tick)}</text>`;
}

function drawSeries(series: ReportSeries, frame: Frame, endMs: number): { area: string; line: string } {
  const style = `class="${series.color}${series.dashed === true ? ' dashed' : ''}"`;
  const runs = unbroken(series).map((run) => outline(run, series, frame, endMs));
  const line = runs.map((path) => `<path ${style} d="M${path.join('L')}"/>`).join('');
  if (series.shape !== 'area') return { area: '', line };
  const base = frame.y(0).toFixed(1);
  const areas = runs.map((path) => {
    const [first = ''] = path;
    const last = path.at(-1) ?? first;
    return `<path ${style} d="M${xOf(first)},${base}L${path.join('L')}L${xOf(last)},${base}Z"/>`;
  });
  return { area: areas.join(''), line };
}

/** Stretches of indexes without a gap. */
function unbroken({ values }: ReportSeries): number[][] {
  const runs: number[][] = [];
  let open: number[] | undefined;
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) {
      open = undefined;
    } else if (open === undefined) {
      open = [i];
      runs.push(open);
    } else {
      open.push(i);
    }
  }
  return runs;
}

function outline(
  run: readonly number[],
  { timesMs, values, shape }: ReportSeries,
  frame: Frame,
  endMs: number,
): string[] {
  const points: string[] = [];
  let previousY = '';
  for (const index of run) {
    const x = frame.x(Math.min(endMs, timesMs[index] as number)).toFixed(1);
    const y = frame.y(values[index] as number).toFixed(1);
    if (shape === 'step' && previousY !== '' && previousY !== y) points.push(`${x},${previousY}`);
    if (shape !== 'step' || previousY !== y) points.push(`${x},${y}`);
    previousY = y;
  }
  const last = run.at(-1);
  if (shape === 'step' && last !== undefined)
    points.push(`${frame.x(timesMs[last] as number).toFixed(1)},${previousY}`);
  return points;
}

function xOf(point: string): string {
  return point.slice(0, point.indexOf(','));
}

function legendEntry({ name, color, dashed }: ReportSeries): string {
  return `<li><svg viewBox="0 0 22 8" aria-hidden="true"><path class="${color}${dashed === true ? ' dashed' : ''}" d="M1,4L21,4"/></svg>${escapeHtml(name)}</li>`;
}

function hoverData({ name, color, timesMs, values }: ReportSeries): object {
  const rounded = Array.from(values, (value) => (Number.isNaN(value) ? null : Number(value.toPrecision(4))));
  return { name, color, times: Array.from(timesMs, Math.round), values: rounded };
}

/** For those who cannot see the chart. */
function describe({ title, unit, series }: ReportPanel): string {
  const peaks = series.map((entry) => `${entry.name} at most ${valueLabel(highest([entry]))}`);
  return `${title} over time, in ${unit}: ${peaks.join(', ')}`;
}

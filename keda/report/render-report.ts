/**
 * One self-contained HTML page of figures and charts: for a simulated load, and for a measured one with the
 * simulation laid over it. Works offline, without scripts (hovering aside), in light and dark.
 */
import { drawChart } from './chart.ts';
import { escapeHtml } from './escape.ts';
import { HOVER_SCRIPT } from './hover.ts';
import type { Report, ReportFigure, ReportSeries, ReportTable } from './report.ts';
import { STYLE } from './style.ts';

/** The page as text. Everything it needs is in it; it asks the network for nothing. */
export function renderReport(report: Report): string {
  const endMs = Math.max(1, ...report.panels.flatMap(({ series }) => series.map(lastTime)));
  const { title, subtitle, figures, findings = [], panels, tables, command } = report;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header><p class="brand">Darkroom</p><h1>${escapeHtml(title)}</h1><p class="subtitle">${escapeHtml(subtitle)}</p></header>
<section class="figures" aria-label="Key figures">${figures.map(figure).join('')}</section>
${findings.length === 0 ? '' : `<section class="findings">${findings.map((text) => `<p>${escapeHtml(text)}</p>`).join('')}</section>`}
${panels.map((panel) => drawChart(panel, endMs)).join('\n')}
${tables.map(table).join('\n')}
${command === undefined ? '' : `<footer><p>Made by</p><pre>${escapeHtml(command)}</pre></footer>`}
</main>
<script>${HOVER_SCRIPT}</script>
</body>
</html>
`;
}

function lastTime({ timesMs }: ReportSeries): number {
  return timesMs.length === 0 ? 0 : (timesMs[timesMs.length - 1] as number);
}

function figure({ label, value, detail, verdict }: ReportFigure): string {
  const small = detail === undefined ? '' : `<small>${escapeHtml(detail)}</small>`;
  return `<div class="figure ${verdict ?? ''}"><span>${escapeHtml(label)}</span><strong>${escapeHtml(value)}</strong>${small}</div>`;
}

function table({ title, head, rows, folded }: ReportTable): string {
  const cells = (row: (string | number)[], tag: 'td' | 'th') =>
    `<tr>${row.map((cell) => `<${tag}${isNumeric(cell) ? ' class="number"' : ''}>${escapeHtml(String(cell))}</${tag}>`).join('')}</tr>`;
  const body = `<div class="scroll"><table><thead>${cells(head, 'th')}</thead><tbody>${rows.map((row) => cells(row, 'td')).join('')}</tbody></table></div>`;
  return folded === true
    ? `<details class="card"><summary><h2>${escapeHtml(title)}</h2></summary>${body}</details>`
    : `<section class="card"><h2>${escapeHtml(title)}</h2>${body}</section>`;
}

function isNumeric(cell: string | number): boolean {
  return typeof cell === 'number' || /^[-+]?[\d.,]+( ?(ms|s|m|h|%|MiB|KiB|B))?$/.test(cell);
}

/**
 * A report as one HTML page of figures, charts and tables. Everything it needs is in it, and its content security
 * policy forbids it to ask the network for anything. Light and dark; without JavaScript its charts are tables.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { renderChart } from './chart.ts';
import { escapeHtml } from './html.ts';
import type { Report, ReportFigure, ReportSeries, ReportTable } from './report.ts';

export function renderReport(report: Report): string {
  const endMs = Math.max(1, ...report.panels.flatMap(({ series }) => series.map(lastTime)));
  const { title, subtitle, figures, findings = [], panels, tables, command } = report;
  const { style, library, script } = readAssets();
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src ${hashOf(style)}; script-src ${hashOf(library)} ${hashOf(script)}; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<header><p class="brand">Darkroom</p><h1>${escapeHtml(title)}</h1><p class="subtitle">${escapeHtml(subtitle)}</p></header>
<section class="figures" aria-label="Key figures">${figures.map(renderFigure).join('')}</section>
${findings.length === 0 ? '' : `<section class="findings">${findings.map((text) => `<p>${escapeHtml(text)}</p>`).join('')}</section>`}
${panels.map((panel) => renderChart(panel, endMs)).join('\n')}
${tables.map(renderTable).join('\n')}
${command === undefined ? '' : `<footer><p>Made by</p><pre>${escapeHtml(command)}</pre></footer>`}
</main>
<script>${library}</script>
<script type="module">${script}</script>
</body>
</html>
`;
}

function lastTime({ timesMs }: ReportSeries): number {
  return timesMs.length === 0 ? 0 : (timesMs[timesMs.length - 1] as number);
}

/** uPlot goes with its licence instead of its address, so that a page that names any address is at fault. */
function readAssets(): { style: string; library: string; script: string } {
  const own = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
  const { resolve } = createRequire(import.meta.url);
  const uplot = (name: string) => readFileSync(resolve(`uplot/${name}`), 'utf8');
  const { version } = JSON.parse(uplot('package.json')) as { version: string };
  const licence = `/*! uPlot ${version}\n${uplot('LICENSE')}\n*/`;
  return {
    style: uplot('dist/uPlot.min.css') + own('page.css'),
    library: uplot('dist/uPlot.iife.min.js').replace(/^\/\*!.*\*\//, () => licence),
    script: own('page-script.mjs'),
  };
}

/** As a content security policy names what may stand in the page. */
function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

function renderFigure({ label, value, detail, verdict }: ReportFigure): string {
  const small = detail === undefined ? '' : `<small>${escapeHtml(detail)}</small>`;
  return `<div class="figure ${verdict ?? ''}"><span>${escapeHtml(label)}</span><strong>${escapeHtml(value)}</strong>${small}</div>`;
}

function renderTable({ title, head, rows, folded }: ReportTable): string {
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

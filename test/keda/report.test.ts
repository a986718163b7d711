import { createHash } from 'node:crypto';
import { parseSync } from 'oxc-parser';
import { describe, expect, test } from 'vitest';
import { renderReport } from '../../keda/report/render-report.ts';
import { evenly, type Report } from '../../keda/report/report.ts';
import { spanLabel, timeLabel, timeTicks, valueLabel, valueTicks } from '../../keda/report/scale.ts';

const report = (changes: Partial<Report> = {}): Report => ({
  title: 'Burst',
  subtitle: 'blur',
  figures: [{ label: 'Wait p95', value: '12.0 s', detail: 'at most 30 s', verdict: 'good' }],
  panels: [
    {
      title: 'Replicas',
      unit: 'pods',
      series: [
        { name: 'measured', ...evenly(1_000, [0, 1, 4, 4]), color: 'blue', shape: 'step' },
        { name: 'predicted', ...evenly(2_000, [0, Number.NaN, 4]), color: 'blue', dashed: true },
      ],
    },
  ],
  tables: [{ title: 'All', head: ['', 'a'], rows: [['Lost', 0]] }],
  ...changes,
});

describe('the page', () => {
  test('is whole in itself: it names no other place', () => {
    const page = renderReport(report());
    expect(page).not.toMatch(/https?:\/\/|\bsrc=|<link|@import|url\(/);
  });

  test('forbids the browser all that is not in it, and lets its own style and scripts run', () => {
    const page = renderReport(report());
    const policy = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(page)?.[1] ?? '';
    const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
    expect(policy.split('; ')).toEqual([
      "default-src 'none'",
      `style-src ${hash(/<style>(.*?)<\/style>/s.exec(page)?.[1] ?? '')}`,
      `script-src ${scriptsOf(page).map(hash).join(' ')}`,
      "base-uri 'none'",
      "form-action 'none'",
    ]);
    expect(page).not.toMatch(/\sstyle="|\son[a-z]+="/);
  });

  test('carries scripts that parse, and the licence of what it carries', () => {
    const [library = '', own = ''] = scriptsOf(renderReport(report()));
    for (const script of [library, own]) expect(parseSync('script.mjs', script).errors).toEqual([]);
    expect(library).toMatch(/^\/\*! uPlot [\d.]+\nThe MIT License .*Copyright .*NONINFRINGEMENT/s);
  });

  test('is small beside its values', () => {
    const values = Array.from({ length: 1_440 }, (_, minute) => Math.sin(minute) * 1_000);
    const line = evenly(60_000, values);
    const series = (['blue', 'amber'] as const).map((color) => ({ name: color, ...line, color }));
    const empty = renderReport(report({ panels: [] })).length;
    const day = renderReport(report({ panels: [{ title: 'Day', unit: 'pods', series }] })).length;
    expect(empty).toBeLessThan(75_000);
    expect(day - empty).toBeLessThan(60_000);
  });

  test('shows what was measured solid and what was predicted dashed, in one colour', () => {
    const page = renderReport(report());
    expect(page).toContain('<li class="blue">measured</li>');
    expect(page).toContain('<li class="blue dashed">predicted</li>');
    expect(drawingOf(page).series).toEqual([
      { name: 'measured', color: 'blue', shape: 'step' },
      { name: 'predicted', color: 'blue', dashed: true },
    ]);
  });

  test('escapes whatever it is given', () => {
    const evil = '</script><img onerror=x>&"';
    const series = [{ name: evil, ...evenly(1, [1]), color: 'blue' as const }];
    const page = renderReport(report({ title: evil, panels: [{ title: evil, unit: evil, series }] }));
    expect(page).not.toContain('<img');
    expect(page.match(/<\/script>/g)).toHaveLength(3);
  });

  test('holds every number in a table: a gap as a dash, nothing where only another series has the time', () => {
    expect(tableOf(renderReport(report()))).toEqual([
      ['Time', 'measured', 'predicted'],
      ['0:00:00', '0', '0'],
      ['0:00:01', '1', ''],
      ['0:00:02', '4', '–'],
      ['0:00:03', '4', ''],
      ['0:00:04', '', '4'],
    ]);
  });

  test('rounds no count, and a measure to four digits', () => {
    const values = [1_234_567, 0.123456, 98.7654];
    const series = [{ name: 'n', timesMs: [0, 1.4, 90_061_250], values, color: 'teal' as const }];
    expect(tableOf(renderReport(report({ panels: [{ title: 'r', unit: 'x', series }] }))).slice(1)).toEqual([
      ['0:00:00', '1,234,567'],
      ['0:00:00.001', '0.1235'],
      ['25:01:01.250', '98.77'],
    ]);
  });

  test('gives all charts one axis of time, and each its own of values', () => {
    const page = renderReport(report());
    expect(drawingOf(page)).toMatchObject({
      unit: 'pods',
      endSeconds: 4,
      yTicks: [0, 1, 2, 3, 4].map((at) => ({ at, label: String(at) })),
    });
    expect(drawingOf(page).xTicks.at(-1)).toEqual({ at: 4, label: '4 s' });
  });

  test('can be made of nothing at all', () => {
    expect(renderReport(report({ figures: [], panels: [], tables: [] }))).toContain('<h1>Burst</h1>');
    const page = renderReport(report({ panels: [{ title: 'e', unit: 'x', series: [] }] }));
    const [, body = ''] = page.split('<main>');
    expect(body.slice(0, body.indexOf('</main>'))).not.toContain('NaN');
  });
});

/** The scripts that run, not the blocks of data. */
function scriptsOf(page: string): string[] {
  return [...page.matchAll(/<script(?: type="module")?>(.*?)<\/script>/gs)].map(([, text = '']) => text);
}

/** What the script of the first chart is told beside the values. */
function drawingOf(page: string) {
  return JSON.parse(/<script type="application\/json">(.*?)<\/script>/.exec(page)?.[1] ?? '');
}

/** The cells of the first chart's table. */
function tableOf(page: string): string[][] {
  const table = /<details class="values" open>.*?<table>(.*?)<\/table>/s.exec(page)?.[1] ?? '';
  return [...table.matchAll(/<tr>(.*?)<\/t(?:r|head)>/gs)].map(([, row = '']) =>
    row.split(/<t[hd]>/).slice(1),
  );
}

describe('axes', () => {
  test.each([
    [7, 4, [0, 2, 4, 6, 8]],
    [0.3, 4, [0, 0.1, 0.2, 0.3]],
    [1_999, 4, [0, 500, 1_000, 1_500, 2_000]],
    [0, 4, [0, 1]],
  ])('values up to %d get round ticks', (highest, wanted, expected) => {
    const ticks = valueTicks(highest, wanted);
    expect(ticks.map((tick) => Number(tick.toFixed(6)))).toEqual(expected);
  });

  test('times get ticks that people count in', () => {
    const labels = (endMs: number) => timeTicks(endMs, 9).map(timeLabel).join(', ');
    expect(labels(86_400_000)).toBe('0, 3 h, 6 h, 9 h, 12 h, 15 h, 18 h, 21 h, 24 h');
    expect(labels(390_000)).toBe('0, 1 min, 2 min, 3 min, 4 min, 5 min, 6 min');
  });

  test.each([
    [0.4, '0 s'],
    [840, '840 ms'],
    [1_970, '1.97 s'],
    [12_345, '12.3 s'],
    [59_990, '1 min'],
    [88_000, '1 min 28 s'],
    [119_990, '2 min'],
    [23_400_000, '6 h 30 min'],
  ])('%d ms reads %s', (ms, label) => {
    expect(spanLabel(ms)).toBe(label);
  });

  test.each([
    [0.25, '0.25'],
    [1_500, '1,500'],
    [20_000, '20k'],
    [1_500_000, '1.5M'],
  ])('%d reads %s', (value, label) => {
    expect(valueLabel(value)).toBe(label);
  });
});

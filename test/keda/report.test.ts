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

  test('shows what was measured solid and what was predicted dashed, in one colour', () => {
    const page = renderReport(report());
    expect(page).toMatch(/<path class="blue" d="M/);
    expect(page).toMatch(/<path class="blue dashed" d="M/);
  });

  test('escapes whatever it is given', () => {
    const evil = '</script><img onerror=x>&"';
    const page = renderReport(
      report({
        title: evil,
        panels: [{ title: evil, unit: evil, series: [{ name: evil, ...evenly(1, [1]), color: 'blue' }] }],
      }),
    );
    expect(page).not.toContain('<img');
    expect(page.match(/<\/script>/g)).toHaveLength(2);
  });

  test('keeps its data readable for the cursor, gaps as null', () => {
    const json = /<script type="application\/json">(.*?)<\/script>/.exec(renderReport(report()))?.[1] ?? '';
    expect(JSON.parse(json)).toEqual({
      unit: 'pods',
      series: [
        { name: 'measured', color: 'blue', times: [0, 1_000, 2_000, 3_000], values: [0, 1, 4, 4] },
        { name: 'predicted', color: 'blue', times: [0, 2_000, 4_000], values: [0, null, 4] },
      ],
    });
  });

  test('draws a step as a step', () => {
    const page = renderReport(
      report({
        panels: [
          {
            title: 'r',
            unit: 'pods',
            series: [{ name: 'n', ...evenly(1_000, [0, 2]), color: 'teal', shape: 'step' }],
          },
        ],
      }),
    );
    const path = /<g><path class="teal" d="M([^"]+)"/.exec(page)?.[1] ?? '';
    const points = path.split('L').map((point) => point.split(',').map(Number));
    // Along at the old height, then up at the same place.
    expect(points).toHaveLength(4);
    expect(points[1]?.[1]).toBe(points[0]?.[1]);
    expect(points[2]?.[0]).toBe(points[1]?.[0]);
  });

  test('can be made of nothing at all', () => {
    expect(renderReport(report({ figures: [], panels: [], tables: [] }))).toContain('<h1>Burst</h1>');
    expect(renderReport(report({ panels: [{ title: 'e', unit: 'x', series: [] }] }))).not.toContain('NaN');
  });
});

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
    expect(timeTicks(86_400_000, 9).map(timeLabel)).toEqual([
      '0',
      '3 h',
      '6 h',
      '9 h',
      '12 h',
      '15 h',
      '18 h',
      '21 h',
      '24 h',
    ]);
    expect(timeTicks(390_000, 9).map(timeLabel)).toEqual([
      '0',
      '1 min',
      '2 min',
      '3 min',
      '4 min',
      '5 min',
      '6 min',
    ]);
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

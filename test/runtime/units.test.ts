import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, humanDuration, humanSize, parseDuration, parseSize } from '../../runtime/units.ts';

describe('durations and sizes', () => {
  it.each([
    ['500ms', 500],
    ['60s', 60_000],
    ['1.5m', 90_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
    ['5', undefined],
    ['-5s', undefined],
    ['5 parsecs', undefined],
  ])('reads %s as %s ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each([
    ['25MiB', 26_214_400],
    ['1GiB', 1_073_741_824],
    ['1500', 1_500],
    ['many', undefined],
  ])('reads %s as %s bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it('writes every duration so that it reads back the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e9 }), (ms) => parseDuration(formatDuration(ms)) === ms),
    );
  });

  it('shows them to people', () => {
    expect([0.42, 38, 1_250, 59_999, 125_000].map(humanDuration)).toEqual([
      '0.4 ms',
      '38 ms',
      '1.25 s',
      '1 m 00 s',
      '2 m 05 s',
    ]);
    expect([812, 34_900, 2_500_000].map(humanSize)).toEqual(['812 B', '34.1 KiB', '2.4 MiB']);
  });
});

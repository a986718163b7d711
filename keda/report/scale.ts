/** Axes: where ticks go and how their labels read. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const COUNT = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** Steps that people count time in. */
const TIME_STEPS_MS = [
  0.1 * SECOND,
  0.5 * SECOND,
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7].map((n) => n * DAY),
];

/** About `wanted` ticks from 0 to `endMs`, on round times. */
export function timeTicks(endMs: number, wanted: number): number[] {
  const step = TIME_STEPS_MS.find((candidate) => endMs / candidate <= wanted) ?? 7 * DAY;
  return multiples(step, endMs);
}

/** Ticks from 0 to a round number at or above `highest`: 1, 2 or 5 times a power of ten apart. */
export function valueTicks(highest: number, wanted: number): number[] {
  if (!(highest > 0)) return [0, 1];
  const rough = highest / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) ?? rough;
  return multiples(step, Math.ceil(highest / step) * step);
}

/** `45 s`, `2 min`, `1 min 30 s`, `6 h`, `2 d`. */
export function timeLabel(ms: number): string {
  if (ms === 0) return '0';
  if (ms < MINUTE) return `${Number((ms / SECOND).toFixed(1))} s`;
  if (ms < HOUR) return joined(ms, MINUTE, 'min', SECOND, 's');
  if (ms < 2 * DAY) return joined(ms, HOUR, 'h', MINUTE, 'min');
  return joined(ms, DAY, 'd', HOUR, 'h');
}

/** `0:04:28`, `26:00:00.250`: hours, minutes and seconds, thousandths where there are any. */
export function clockLabel(ms: number): string {
  const two = (count: number) => String(Math.floor(count)).padStart(2, '0');
  const rest = ms % SECOND;
  const fraction = rest === 0 ? '' : `.${String(rest).padStart(3, '0')}`;
  return `${Math.floor(ms / HOUR)}:${two((ms % HOUR) / MINUTE)}:${two((ms % MINUTE) / SECOND)}${fraction}`;
}

/** A span with about three digits: `0 s`, `840 ms`, `12.3 s`, `1 min 28 s`, `6 h 30 min`. */
export function spanLabel(ms: number): string {
  if (ms < 1) return '0 s';
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < 9.95 * SECOND) return `${(ms / SECOND).toFixed(2)} s`;
  if (ms < 59.95 * SECOND) return `${(ms / SECOND).toFixed(1)} s`;
  return timeLabel(Math.round(ms / SECOND) * SECOND);
}

/** `0.25`, `12`, `1,500`, `20k`, `1.5M`. */
export function valueLabel(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toFixed(2))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toFixed(1))}k`;
  if (size >= 100) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(3)));
}

/** All digits of a whole number: `1,234,567`. */
export function countLabel(count: number): string {
  return COUNT.format(count);
}

function multiples(step: number, end: number): number[] {
  return Array.from({ length: Math.floor(end / step + 1e-9) + 1 }, (_, index) => index * step);
}

function joined(ms: number, big: number, bigName: string, small: number, smallName: string): string {
  const rounded = Math.round(ms / small) * small;
  const whole = Math.floor(rounded / big);
  const rest = Math.round((rounded - whole * big) / small);
  return rest === 0 ? `${whole} ${bigName}` : `${whole} ${bigName} ${rest} ${smallName}`;
}

/** Durations and sizes as people write them: `90s`, `25MiB`. */

const DURATION_UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_UNITS_BYTES = {
  B: 1,
  KiB: 1_024,
  MiB: 1_048_576,
  GiB: 1_073_741_824,
  KB: 1_000,
  MB: 1e6,
  GB: 1e9,
} as const;

/** Milliseconds in `500ms`, `60s`, `5m`, `2h`, `7d`; undefined when the text is none of these. */
export function parseDuration(text: string): number | undefined {
  return parseWith(DURATION_UNITS_MS, text);
}

/** Bytes in `512KiB`, `25MiB`, `1GiB` or a bare number of bytes; undefined when the text is none of these. */
export function parseSize(text: string): number | undefined {
  return parseWith(SIZE_UNITS_BYTES, /^\d+$/.test(text) ? `${text}B` : text);
}

function parseWith(units: Record<string, number>, text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim());
  const unit = match?.[2] === undefined ? undefined : units[match[2]];
  return match === null || unit === undefined ? undefined : Math.round(Number(match[1]) * unit);
}

/** The shortest exact form, which queue names use: 5000 → `5s`, 120000 → `2m`, 1500 → `1500ms`. */
export function formatDuration(ms: number): string {
  if (ms >= 60_000 && ms % 60_000 === 0) return `${ms / 60_000}m`;
  if (ms >= 1_000 && ms % 1_000 === 0) return `${ms / 1_000}s`;
  return `${ms}ms`;
}

/** As {@link parseSize} reads it, rounded up to whole mebibytes: `1024MiB`. */
export function formatSize(bytes: number): string {
  return `${Math.ceil(bytes / SIZE_UNITS_BYTES.MiB)}MiB`;
}

/** For people: `0.4 ms`, `38 ms`, `1.25 s`, `2 m 05 s`. */
export function humanDuration(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 59_995) return `${(ms / 1_000).toFixed(2)} s`;
  const seconds = Math.round(ms / 1_000);
  return `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, '0')} s`;
}

/** For people: `812 B`, `34.1 KiB`, `2.4 MiB`. */
export function humanSize(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  if (bytes < 1_048_576) return `${(bytes / 1_024).toFixed(1)} KiB`;
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

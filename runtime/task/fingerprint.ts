/** Tells two tasks apart by what they mean, not by how they are written. */
import { createHash } from 'node:crypto';

/** The same for values that differ only in the order of keys, in nulls, and in absent or empty objects. */
export function fingerprintOf(meaning: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(canonical(meaning)) ?? '')
    .digest('base64url')
    .slice(0, 22);
}

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => canonical(item) ?? null);
  if (typeof value !== 'object' || value === null) return value ?? undefined;
  const entries = Object.entries(value)
    .map(([key, item]) => [key, canonical(item)] as const)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

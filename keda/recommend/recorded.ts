/** Reads recorded metrics: what `darkroom recommend --from` takes. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { asError, UserError } from '../../runtime/errors.ts';
import { validationMessage } from '../../runtime/validation-message.ts';
import type { QueueSample } from './sample.ts';

const count = z.number().min(0);
const sample = z
  .object({
    /** When: milliseconds, or a date as text. */
    at: z.union(
      [z.number(), z.iso.datetime({ offset: true })],
      'milliseconds or a date such as 2026-01-01T00:00:00Z',
    ),
    ready: count,
    unacked: count,
    consumers: count,
    published: count.optional(),
    acknowledged: count.optional(),
    redelivered: count.optional(),
    publishRate: count.optional(),
    ackRate: count.optional(),
  })
  .transform(
    ({ at, ...rest }): QueueSample => ({ atMs: typeof at === 'number' ? at : Date.parse(at), ...rest }),
  );
const samples = z.array(sample).min(1);
const recorded = z.union([samples, z.record(z.string(), samples)]);

/**
 * Samples by function. A bare list belongs to `fallbackName`.
 *
 * @throws UserError naming the file, the path in it and what was expected
 */
export function readRecorded(file: string, fallbackName: string): Map<string, QueueSample[]> {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UserError(`cannot read the metrics in ${file}: ${asError(error).message}`, { cause: error });
  }
  const schema = Array.isArray(content) ? samples : recorded;
  const parsed = schema.safeParse(content);
  if (!parsed.success) throw new UserError(`${file}: ${validationMessage(parsed.error, content)}`);
  const byName = Array.isArray(parsed.data) ? { [fallbackName]: parsed.data } : parsed.data;
  return new Map(
    Object.entries(byName).map(([name, list]) => [name, list.toSorted((a, b) => a.atMs - b.atMs)]),
  );
}

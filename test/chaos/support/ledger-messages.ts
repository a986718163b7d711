/** How a ledger learns what became of a message, even of one that cannot be read. */
import { createHash } from 'node:crypto';
import type { Delivery } from '../../../runtime/amqp/broker.ts';
import type { LetterReason } from '../../support/ledger.ts';

/** Travels with every message and names its entry in the ledger. */
export const LEDGER_HEADER = 'x-ledger';

/** A reply is the final event, or the image itself with the key under which it is stored too. */
export function endOfReply({ body, headers }: Delivery): Record<string, unknown> {
  const key = headers['darkroom-output'];
  if (key === undefined) return { outcome: 'failed', ...JSON.parse(body.toString()).data };
  return { outcome: 'completed', output: { key, sha256: createHash('sha256').update(body).digest('hex') } };
}

export function letterOf(headers: Record<string, unknown>): LetterReason {
  const [death] = Array.isArray(headers['x-death']) ? (headers['x-death'] as Record<string, unknown>[]) : [];
  return {
    type: String(headers['darkroom-failure-type'] ?? death?.reason ?? 'unroutable'),
    reason: String(headers['darkroom-failure-reason'] ?? `set aside by the broker: ${death?.reason}`),
  };
}

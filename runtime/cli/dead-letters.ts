/** Goes through the dead letter queue: looks at letters without taking them, and settles the chosen ones. */
import type { Broker, PublishRequest } from '../amqp/broker.ts';
import { browseQueue, type GotMessage } from '../amqp/browse-queue.ts';
import { names } from '../amqp/topology.ts';
import { HEADERS } from '../task/hop.ts';
import { type DeadLetter, parseDeadLetter } from './dead-letter.ts';
import { type DeadLetterSelection, selectionMatcher } from './dead-letter-selection.ts';

/** What to do with a chosen letter; `true` takes it out of the queue. */
export type SettleLetter = (letter: DeadLetter, message: GotMessage) => Promise<boolean>;

/** Headers that tell of the failure, and that a replay starts without. */
const DEATH_HEADERS =
  /^(x-death|x-first-death-.*|x-last-death-.*|x-delivery-count|darkroom-(failure-type|failure-reason|failed-at|attempts|worker|filter|first-failed-ms))$/;

/**
 * Goes once through the queue. Letters that `settle` does not take, and all that were not chosen, stay.
 * @returns the chosen letters
 */
export async function eachDeadLetter(
  broker: Broker,
  prefix: string,
  selection: DeadLetterSelection,
  settle: SettleLetter = async () => false,
): Promise<DeadLetter[]> {
  const chosen: DeadLetter[] = [];
  const matches = selectionMatcher(selection);
  const limit = selection.limit ?? Number.POSITIVE_INFINITY;
  await browseQueue(broker, names(prefix).dead, async (message) => {
    const letter = parseDeadLetter(message, prefix);
    if (!matches(letter)) return 'keep';
    chosen.push(letter);
    const taken = await settle(letter, message);
    if (chosen.length >= limit) return taken ? 'take-and-stop' : 'stop';
    return taken ? 'take' : 'keep';
  });
  return chosen;
}

/** The message that tries a dead task again: to the step where it failed, attempts reset. */
export function replayOf(
  letter: DeadLetter,
  { properties, body }: GotMessage,
  prefix: string,
): PublishRequest {
  const headers = Object.entries((properties.headers ?? {}) as Record<string, unknown>);
  const kept = headers.filter(([name]) => !DEATH_HEADERS.test(name));
  return {
    exchange: '',
    routingKey: names(prefix).queue(letter.filter),
    mandatory: true,
    body,
    properties: {
      ...properties,
      expiration: undefined,
      persistent: true,
      headers: {
        ...Object.fromEntries(kept),
        [HEADERS.attempt]: 0,
        [HEADERS.generation]: letter.generation + 1,
        [HEADERS.published]: Date.now(),
        'darkroom-replayed-from': `${letter.failed_at ?? 'unknown time'}: ${letter.failure_type}`,
      },
    },
  };
}

/** Goes through the dead letter queue letter by letter: looks at them without taking them, and settles the chosen ones. */
import type { Broker } from '../amqp/broker.ts';
import { names } from '../amqp/topology.ts';
import { asError } from '../errors.ts';
import { capText } from '../redact.ts';
import { browseQueue, type GotMessage } from './browse-queue.ts';
import { type DeadLetter, type IsOurUser, parseDeadLetter, unreadableLetter } from './dead-letter.ts';
import { type DeadLetterSelection, selectionMatcher } from './dead-letter-selection.ts';

export interface DeadLetterQueue {
  broker: Broker;
  prefix: string;
  isOurUser?: IsOurUser;
}

/** What to do with a chosen letter; `true` takes it out of the queue. What it throws is told of that letter alone. */
export type SettleLetter = (letter: DeadLetter, message: GotMessage) => Promise<boolean>;

/** What came of a chosen letter. */
export interface LetterResult {
  letter: DeadLetter;
  /** Why it could not be settled; then it stays. */
  fault?: string;
}

/**
 * Goes once through the queue. Letters that `settle` does not take, and all that were not chosen, stay.
 * @param onOther is told of those that were not chosen; every letter is then looked at
 */
export async function eachDeadLetter(
  queue: DeadLetterQueue,
  selection: DeadLetterSelection,
  settle: SettleLetter = async () => false,
  onOther?: (letter: DeadLetter) => void,
): Promise<LetterResult[]> {
  const results: LetterResult[] = [];
  const matches = selectionMatcher(selection);
  const limit = selection.limit ?? Number.POSITIVE_INFINITY;
  await browseQueue(queue.broker, names(queue.prefix).dead, async (message) => {
    const letter = readLetter(message, queue);
    if (results.length >= limit || !matches(letter)) {
      onOther?.(letter);
      return 'keep';
    }
    const { taken, ...result } = await settled(letter, message, settle);
    results.push(result);
    const isLast = results.length >= limit && onOther === undefined;
    if (isLast) return taken ? 'take-and-stop' : 'stop';
    return taken ? 'take' : 'keep';
  });
  return results;
}

/** A letter that cannot be read is still a letter. */
export function readLetter(message: GotMessage, { prefix, isOurUser }: DeadLetterQueue): DeadLetter {
  try {
    return parseDeadLetter(message, prefix, isOurUser);
  } catch (error) {
    return unreadableLetter(message, error);
  }
}

async function settled(
  letter: DeadLetter,
  message: GotMessage,
  settle: SettleLetter,
): Promise<LetterResult & { taken: boolean }> {
  try {
    return { letter, taken: await settle(letter, message) };
  } catch (thrown) {
    return { letter, taken: false, fault: capText(asError(thrown).message) };
  }
}

/** Decides what follows the end of a task: its final event, the reply, and a dead letter where one is owed. */
import { HEADERS } from '../task/hop.ts';
import type { TaskMarker } from '../task/task-marker.ts';
import { outputOf } from '../task/task-marker.ts';
import type { Decision, Policy } from './decision.ts';
import { type DeliveryContext, finalEventOf, isRepeated } from './delivery-context.ts';
import { type BrokerNames, deadLetter, eventMessage, type Message, replyMessages } from './messages.ts';
import type { ReplyImage } from './protocol.ts';

/** RabbitMQ 4 refuses larger messages; a larger image is named in the event instead. */
const MAX_REPLY_BYTES = 15 * 1_048_576;

interface End {
  marker: TaskMarker;
  image?: ReplyImage;
  isResultMissing?: boolean;
}

/** The task has ended, now or earlier: its final event and the reply are told, and a letter that is still owed. */
export function finish(
  context: DeliveryContext,
  { marker, image, isResultMissing = false }: End,
  settlement: 'completed' | 'cancelled' | 'repeated',
  { at }: Policy,
): Decision {
  const { delivery, task } = context;
  const event = finalEventOf(context, marker);
  const fits = image !== undefined && marker.outcome === 'completed' && image.bytes.length <= MAX_REPLY_BYTES;
  const messages = [eventMessage(at, event), ...replyMessages(delivery, event, fits ? image : undefined)];
  if (marker.outcome === 'failed' && isLetterOwed(context, marker))
    messages.push(
      letterFor(at, context, String(marker.data.failure_type), String(marker.data.failure_reason)),
    );
  const isOver = marker.outcome !== 'failed' && !isResultMissing;
  const hasHopped = task.steps.length > 1 && (context.delivered.hop.step > 0 || isRepeated(context));
  const leavesSomething = hasHopped || delivery.headers[HEADERS.recorded] === true;
  return {
    messages,
    announcements: [],
    // A failed task keeps its intermediates for a replay.
    ...(leavesSomething && isOver && { cleanUp: task }),
    settlement,
    log: {
      level: 'info',
      text: 'task ended',
      fields: {
        outcome: marker.outcome,
        repeat: settlement === 'repeated',
        output: outputOf(marker).key,
      },
    },
  };
}

/**
 * A worker that died between marker and dead letter left the letter to whoever comes next: to its own message, given
 * to another worker; to a later try or step, when its last words were written after another worker had gone on; or to a
 * fresh start of the task.
 */
function isLetterOwed({ delivery, delivered: { hop } }: DeliveryContext, marker: TaskMarker): boolean {
  const isHandedOn = delivery.redelivered || hop.wasGivenBack;
  const fromStep = Number(marker.from_step ?? marker.data.step ?? hop.step);
  const isLaterTry = hop.step === fromStep && hop.attempt >= Number(marker.data.attempts);
  return isHandedOn || isLaterTry || hop.restarts > 0 || hop.step > fromStep;
}

/** The letter names the filter that failed; a replay begins as the delivery did, for what was carried is gone. */
export function letterFor(
  at: BrokerNames,
  context: DeliveryContext,
  failureType: string,
  reason: string,
): Message {
  const { filter, worker, task, delivered, delivery } = context;
  return deadLetter(at, delivery, { filter, worker, task, hop: delivered.hop, failureType, reason });
}

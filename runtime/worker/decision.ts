/** What can be decided of a delivery, and from what. */
import type { TaskEvent } from '../task/events.ts';
import type { IntermediatesOwner, TaskMarker } from '../task/task-marker.ts';
import type { BrokerNames, Message } from './messages.ts';
import type { StepResult } from './protocol.ts';

/** How a delivery was settled, as the metrics count it. */
export type Settlement =
  | 'completed'
  | 'retried'
  | 'failed'
  | 'rejected'
  | 'forwarded'
  | 'repeated'
  | 'cancelled'
  | 'restarted'
  | 'given-back'
  | 'set-aside';

/** What to do with a delivery, in this order. */
export interface Decision {
  /** To be published and confirmed, all of them, before anything else. */
  messages: Message[];
  /** The filter to whose queue the task goes; when there is no such queue, it is decided again. */
  needsQueueOf?: string;
  /** Events that nobody waits for. */
  announcements: TaskEvent[];
  /** The ended task whose intermediates go, before the acknowledgement. */
  cleanUp?: IntermediatesOwner;
  settlement: Settlement;
  log: { level: 'info' | 'warn' | 'error'; text: string; fields: Record<string, unknown> };
  /** What becomes of the delivery when its messages cannot be published at all; default: it is set aside, in words. */
  otherwise?: 'nack' | 'reject';
}

/** A task that fails for good ends by its marker: write this one, and decide again by the one that then stands. */
export interface MarkFirst {
  mark: TaskMarker;
  /** In the place of one whose promise cannot be kept. */
  replace?: boolean;
}

/** What came of a delivery that could be read as a task. */
export type Verdict =
  | Exclude<StepResult, { kind: 'carried' }>
  /** It is another filter's turn: the delivery came to the wrong queue. */
  | { kind: 'misrouted'; due: string }
  /** It may be what took down workers that had it beside others. */
  | { kind: 'suspect' }
  /** The worker has to stop before the step is done, or has a suspect in hand. */
  | { kind: 'given-back' };

export interface Policy {
  at: BrokerNames;
  retryDelaysMs: number[];
  /** Of work on this delivery, milliseconds. */
  workMs: number;
  nowMs: number;
  /** 0 to 1, spreads retries. */
  jitter: number;
}

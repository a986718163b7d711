/** Deliveries, markers and decisions for the tests of what is decided. */
import { names } from '../../../runtime/amqp/topology.ts';
import type { Hop } from '../../../runtime/task/hop.ts';
import type { Task } from '../../../runtime/task/task.ts';
import type { TaskMarker } from '../../../runtime/task/task-marker.ts';
import { decide } from '../../../runtime/worker/decide.ts';
import type { Decision, MarkFirst, Policy, Verdict } from '../../../runtime/worker/decision.ts';
import type { DeliveryContext } from '../../../runtime/worker/delivery-context.ts';
import type { StandingMarker, StepFailure } from '../../../runtime/worker/protocol.ts';

export const AT = names('darkroom');
export const NOW_MS = 1_700_000_000_000;
export const POLICY: Policy = {
  at: AT,
  retryDelaysMs: [5_000, 30_000],
  workMs: 12.4,
  nowMs: NOW_MS,
  jitter: 0,
};
export const TIMINGS = { fetch: 1, decode: 2, filter: 3, encode: 4, store: 5 };
export const STEPPED: Verdict = {
  kind: 'stepped',
  repeated: false,
  timings: TIMINGS,
  bytesIn: 10,
  bytesOut: 20,
};
export const HANDLER = { at: AT, filter: 'blur', worker: 'pod/1' };

const FRESH_HOP: Hop = {
  step: 0,
  attempt: 0,
  generation: 0,
  restarts: 0,
  inline: false,
  wasGivenBack: false,
  isSuspect: false,
  hasNotPromised: false,
  mayHavePromised: false,
  publishedMs: null,
  submittedMs: null,
  seenMs: null,
  firstFailedMs: null,
  history: [],
};

export interface Given {
  hop?: Partial<Hop>;
  task?: Partial<Task>;
  delivery?: Partial<DeliveryContext['delivery']>;
  /** With which step the delivery began; default: the present one. */
  fromStep?: number;
}

export function contextOf({ hop: given, task, delivery, fromStep }: Given = {}): DeliveryContext {
  const hop = { ...FRESH_HOP, ...given };
  return {
    filter: 'blur',
    hop,
    delivered: { filter: 'blur', hop: { ...hop, step: fromStep ?? hop.step } },
    worker: 'pod/1',
    delivery: {
      body: Buffer.from('{"the":"body"}'),
      properties: { contentType: 'application/json' } as never,
      headers: {},
      redelivered: false,
      receivedAtMs: NOW_MS - 500,
      ...delivery,
    },
    task: {
      id: 'cat',
      input: 'cat.jpg',
      steps: [
        { filter: 'blur', params: {} },
        { filter: 'flip', params: {} },
      ],
      output: {},
      timeoutMs: undefined,
      fingerprint: 'print',
      ...task,
    },
    traceparent: undefined,
    queueMs: 7,
  };
}

export function markerOf(outcome: TaskMarker['outcome'], data: Record<string, unknown> = {}): TaskMarker {
  return { task_id: 'cat', generation: 0, fingerprint: 'print', outcome, time: '2026-01-01T00:00:00Z', data };
}

export function failure(
  consequence: 'reject' | 'retry',
  failureType: StepFailure['failureType'] = 'storage',
) {
  return { kind: 'failed', consequence, failureType, message: 'it broke' } as const;
}

export function standing(marker: TaskMarker, more: Partial<StandingMarker> = {}): StandingMarker {
  return { marker, isSameTask: true, isStored: true, ...more };
}

export function decided(given: Given, verdict: Verdict, marker?: StandingMarker): Decision {
  const decision = decide(contextOf(given), verdict, POLICY, marker);
  if ('mark' in decision) throw new Error('expected a decision, got the wish for a marker');
  return decision;
}

export function markFirst(given: Given, verdict: Verdict): TaskMarker {
  return (decide(contextOf(given), verdict, POLICY) as MarkFirst).mark;
}

export function purposes({ messages }: Decision): string[] {
  return messages.map(({ purpose }) => purpose);
}

export function headersOf(decision: Decision, index = 0): Record<string, unknown> {
  return decision.messages[index]!.properties!.headers!;
}

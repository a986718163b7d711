/**
 * The work on one delivery: the step that is due, and those after it that are carried (`carry.ts`). Each carried step has
 * what a step with a queue of its own has: its deadline, events, span, metrics, and a record in the task's history.
 */
import type { Logger } from 'pino';
import type { TaskEvent } from '../task/events.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Span, Tracing } from '../telemetry/tracing.ts';
import type { CarryMode } from './carry.ts';
import type { Child } from './child-process.ts';
import { stepCompleted } from './decide.ts';
import { carriedOn, type DeliveryContext, eventOf, jobOf, recordOf } from './delivery-context.ts';
import type { StepResult } from './protocol.ts';

/** A delivery that could be read, with the span and the log of the step at hand. */
export interface StepReading {
  context: DeliveryContext;
  span: Span;
  log: Logger;
}

export interface Runner {
  child: Pick<Child, 'run' | 'leave'>;
  metrics: Metrics;
  tracing: Tracing;
  /** Of the worker; each step gets its own from it. */
  log: Logger;
  carry: CarryMode;
  taskTimeoutMs: number;
  /** Tells an event that nobody waits for. */
  announce(event: TaskEvent): void;
  /** Told before each step. */
  onStep(): void;
  /** Whether there is time for a step that may take so long, and no reason to stop. */
  mayGoOn(timeoutMs: number): boolean;
}

/** How far the work came: what is known of the last step that was begun. */
export interface Work {
  reading: StepReading;
  verdict: Exclude<StepResult, { kind: 'carried' }>;
  /** Of that step, milliseconds. */
  workMs: number;
}

export async function runDelivery(first: StepReading, runner: Runner): Promise<Work> {
  const { child, carry, metrics } = runner;
  const timeoutMs = Math.min(runner.taskTimeoutMs, first.context.task.timeoutMs ?? Number.POSITIVE_INFINITY);
  for (let reading = first; ; ) {
    const { context } = reading;
    const startMs = performance.now();
    begin(context, runner);
    const job = jobOf(context, carry);
    const result = await child.run(job, timeoutMs);
    const isLeft = result.kind === 'carried' && !result.mustFinish && !runner.mayGoOn(timeoutMs);
    const verdict = isLeft ? joined(result, await child.leave(job, timeoutMs)) : result;
    const workMs = performance.now() - startMs;
    measure(context, verdict, metrics);
    if (verdict.kind !== 'carried') return { reading, verdict, workMs };
    const record = recordOf(context, workMs);
    runner.announce(stepCompleted(context, record, verdict.timings));
    metrics.task(context.filter, 'carried');
    reading.span.end();
    reading = readingOf(carriedOn(context, record), runner, reading.span.traceparent);
  }
}

/** @param traceparent of the span before; default: as the delivery says */
export function readingOf(
  context: DeliveryContext,
  { tracing, log }: Pick<Runner, 'tracing' | 'log'>,
  traceparent?: string,
): StepReading {
  const { filter, task, hop, delivery } = context;
  const headers = traceparent === undefined ? delivery.headers : { ...delivery.headers, traceparent };
  const span = tracing.start(filter, task, hop, headers);
  const traced = span.traceId === undefined ? {} : { trace_id: span.traceId };
  return {
    context: { ...context, traceparent: span.traceparent },
    span,
    log: log.child({ task: task.id, step: hop.step, ...traced }),
  };
}

function begin(context: DeliveryContext, { announce, onStep, metrics }: Runner): void {
  const { filter, hop, delivered, worker, queueMs } = context;
  onStep();
  const isCarried = hop.step > delivered.hop.step;
  if (queueMs !== null && !isCarried) metrics.phase(filter, 'queue', queueMs);
  announce(eventOf(context, 'started', { attempt: hop.attempt, worker }));
}

/** A step whose image was stored after all. */
function joined(carried: Extract<StepResult, { kind: 'carried' }>, left: StepResult): StepResult {
  if (left.kind !== 'stepped') return left;
  const { encode, store } = left.timings;
  const timings = { ...carried.timings, encode: carried.timings.encode + encode, store };
  return { ...left, timings, bytesIn: carried.bytesIn };
}

function measure({ filter }: DeliveryContext, result: StepResult, metrics: Metrics): void {
  if (!('timings' in result)) return;
  for (const phase of ['fetch', 'decode', 'filter', 'encode', 'store'] as const)
    metrics.phase(filter, phase, result.timings[phase]);
  metrics.bytes(filter, 'in', result.bytesIn);
  metrics.bytes(filter, 'out', result.bytesOut);
}

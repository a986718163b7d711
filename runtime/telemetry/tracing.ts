/**
 * W3C trace context through every hop. A `traceparent` that comes with a task is carried on; with an OTLP
 * endpoint configured each step becomes a span of that trace.
 */
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Hop, Task } from '../task.ts';

export interface Span {
  /** To be carried to the next hop; undefined when the task is not traced. */
  traceparent: string | undefined;
  traceId: string | undefined;
  /** @param failure the reason in words, when the step failed */
  end(failure?: string): void;
}

export interface Tracing {
  start(filter: string, task: Task, hop: Hop, headers: Record<string, unknown>): Span;
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;

export function createTracing(): Tracing {
  const tracer = trace.getTracer('darkroom');
  return {
    start(filter, task, hop, headers) {
      const carried =
        typeof headers.traceparent === 'string' && TRACEPARENT.test(headers.traceparent)
          ? headers.traceparent
          : undefined;
      const parent = propagation.extract(context.active(), {
        traceparent: carried,
        tracestate: headers.tracestate,
      });
      const attributes = {
        'messaging.system': 'rabbitmq',
        'darkroom.task.id': task.id,
        'darkroom.step': hop.step,
        'darkroom.attempt': hop.attempt,
      };
      const span = tracer.startSpan(`${filter} process`, { kind: SpanKind.CONSUMER, attributes }, parent);
      const injected: { traceparent?: string } = {};
      propagation.inject(trace.setSpan(parent, span), injected);
      const traceparent = injected.traceparent ?? carried;
      return {
        traceparent,
        traceId: TRACEPARENT.exec(traceparent ?? '')?.[1],
        end(failure) {
          if (failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
          span.end();
        },
      };
    },
  };
}

/**
 * W3C trace context through every hop. A `traceparent` that comes with a task is carried on; with an OTLP
 * endpoint configured each step becomes a span of that trace.
 */
import type { Hop } from '../task/hop.ts';
import type { Task } from '../task/task.ts';

type Api = typeof import('@opentelemetry/api');

export interface Span {
  /** To be carried to the next hop; undefined when the task is not traced. */
  traceparent: string | undefined;
  traceId: string | undefined;
  /** @param failure the reason in words, when the step failed */
  end(failure?: string): void;
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Whether there is somewhere that traces go. */
export const EXPORTS_TRACES = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'].some(
  (name) => Boolean(process.env[name]),
);

export class Tracing {
  #api: Api | undefined;

  /**
   * Loads the API where spans go somewhere. Without it trace context is carried on as it came: a span that nobody gets
   * to see would cost each task its time, and leave those that follow without a parent.
   */
  async load(): Promise<void> {
    if (EXPORTS_TRACES) this.#api = await import('@opentelemetry/api');
  }

  start(filter: string, task: Task, hop: Hop, headers: Record<string, unknown>): Span {
    const { traceparent: given, tracestate } = headers;
    const traceparent = typeof given === 'string' && TRACEPARENT.test(given) ? given : undefined;
    if (this.#api === undefined) return { traceparent, traceId: traceIdOf(traceparent), end: () => {} };
    return startSpan(this.#api, filter, task, hop, { traceparent, tracestate });
  }
}

function startSpan(
  { SpanKind, SpanStatusCode, context, propagation, trace }: Api,
  filter: string,
  task: Task,
  hop: Hop,
  carrier: { traceparent: string | undefined; tracestate: unknown },
): Span {
  const parent = propagation.extract(context.active(), carrier);
  const attributes = {
    'messaging.system': 'rabbitmq',
    'darkroom.task.id': task.id,
    'darkroom.step': hop.step,
    'darkroom.attempt': hop.attempt,
  };
  const tracer = trace.getTracer('darkroom');
  const span = tracer.startSpan(`${filter} process`, { kind: SpanKind.CONSUMER, attributes }, parent);
  const injected: { traceparent?: string } = {};
  propagation.inject(trace.setSpan(parent, span), injected);
  const traceparent = injected.traceparent ?? carrier.traceparent;
  return {
    traceparent,
    traceId: traceIdOf(traceparent),
    end(failure) {
      if (failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
      span.end();
    },
  };
}

function traceIdOf(traceparent: string | undefined): string | undefined {
  return TRACEPARENT.exec(traceparent ?? '')?.[1];
}

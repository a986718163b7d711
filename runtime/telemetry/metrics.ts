/**
 * What Darkroom counts, for Prometheus through OpenTelemetry. The SDK is large, so it is loaded once the worker
 * consumes; what is recorded before then is kept and handed over.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Counter, Histogram, UpDownCounter } from '@opentelemetry/api';
import { EXPORTS_TRACES } from './tracing.ts';

/** Parts of a task's time; `queue` is the wait before a worker took it. */
export type Phase = 'queue' | 'fetch' | 'decode' | 'filter' | 'encode' | 'store';

/** Read at each scrape. */
export interface Observed {
  connected(): boolean;
  consuming(): { filter: string; consuming: boolean }[];
  /** How many of each filter there are. */
  slots(): { filter: string; slots: number }[];
  /** Slots whose task in hand waits because a queue refuses what follows from it. */
  waiting(): { filter: string; waiting: boolean }[];
  childRestarts(): number;
}

interface Instruments {
  tasks: Counter;
  phases: Histogram;
  bytes: Counter;
  inFlight: UpDownCounter;
  notSent: Counter;
}

const PHASE_BUCKETS_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3_600,
];
/** Far more than a worker records before the SDK is loaded. */
const MAX_KEPT = 10_000;

export class Metrics {
  readonly #kept: ((instruments: Instruments) => void)[] = [];
  #observed: Observed | undefined;
  #instruments: Instruments | undefined;
  #loading: Promise<Loaded> | undefined;

  /** One delivery settled; `outcome` is one of the worker's settlements, such as completed, retried or failed. */
  task(filter: string, outcome: string): void {
    this.#record(({ tasks }) => tasks.add(1, { filter, outcome }));
  }

  phase(filter: string, phase: Phase, ms: number): void {
    this.#record(({ phases }) => phases.record(ms / 1_000, { filter, phase }));
  }

  bytes(filter: string, direction: 'in' | 'out', bytes: number): void {
    this.#record((into) => into.bytes.add(bytes, { filter, direction }));
  }

  inFlight(filter: string, change: 1 | -1): void {
    this.#record((into) => into.inFlight.add(change, { filter }));
  }

  /** A reply or an event that was given up, because its queue refuses it. */
  notSent(filter: string, purpose: string): void {
    this.#record((into) => into.notSent.add(1, { filter, purpose }));
  }

  /** Sets what is read at each scrape; to be called before the first. */
  observe(observed: Observed): void {
    this.#observed = observed;
  }

  /** Loads the SDK, once. It blocks the process for a few hundred milliseconds. */
  async load(): Promise<void> {
    await this.#loaded();
  }

  /** Answers GET /metrics; the first time it loads the SDK, if nothing has before. */
  async handler(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { handler } = await this.#loaded();
    handler(request, response);
  }

  async shutdown(): Promise<void> {
    const loaded = await this.#loading;
    await loaded?.shutdown();
  }

  #record(write: (instruments: Instruments) => void) {
    if (this.#instruments !== undefined) write(this.#instruments);
    else if (this.#kept.length < MAX_KEPT) this.#kept.push(write);
  }

  #loaded(): Promise<Loaded> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  async #load(): Promise<Loaded> {
    const loaded = await loadSdk(this.#observed);
    this.#instruments = loaded.instruments;
    for (const write of this.#kept.splice(0)) write(loaded.instruments);
    return loaded;
  }
}

interface Loaded {
  instruments: Instruments;
  handler: (request: IncomingMessage, response: ServerResponse) => void;
  shutdown: () => Promise<void>;
}

async function loadSdk(observed: Observed | undefined): Promise<Loaded> {
  const [{ NodeSDK }, { PrometheusExporter }, { metrics }] = await Promise.all([
    import('@opentelemetry/sdk-node'),
    import('@opentelemetry/exporter-prometheus'),
    import('@opentelemetry/api'),
  ]);
  const exporter = new PrometheusExporter({
    preventServerStart: true,
    withoutScopeInfo: true,
    withoutTargetInfo: true,
  });
  const sdk = new NodeSDK({
    serviceName: process.env.OTEL_SERVICE_NAME ?? 'darkroom',
    autoDetectResources: false,
    metricReaders: [exporter],
    logRecordProcessors: [],
    // Without an endpoint the SDK would still try to export to this machine.
    ...(!EXPORTS_TRACES && { spanProcessors: [] }),
  });
  sdk.start();
  const meter = metrics.getMeter('darkroom');
  if (observed !== undefined) observe(meter, observed);
  return {
    instruments: {
      tasks: meter.createCounter('darkroom_tasks', { description: 'Deliveries settled, by outcome' }),
      phases: meter.createHistogram('darkroom_task_phase_seconds', {
        description: 'Time in each part of a task, seconds',
        advice: { explicitBucketBoundaries: PHASE_BUCKETS_SECONDS },
      }),
      bytes: meter.createCounter('darkroom_bytes', { description: 'Bytes of images read and written' }),
      inFlight: meter.createUpDownCounter('darkroom_tasks_in_flight', { description: 'Tasks in hand' }),
      notSent: meter.createCounter('darkroom_messages_not_sent', {
        description: 'Replies and events given up, because a queue refuses them',
      }),
    },
    handler: (request, response) => exporter.getMetricsRequestHandler(request, response),
    shutdown: () => sdk.shutdown(),
  };
}

function observe(meter: import('@opentelemetry/api').Meter, observed: Observed): void {
  meter
    .createObservableGauge('darkroom_broker_connected', {
      description: '1 while both connections to the broker are up',
    })
    .addCallback((result) => result.observe(observed.connected() ? 1 : 0));
  meter
    .createObservableGauge('darkroom_consuming', { description: '1 while the queue is consumed' })
    .addCallback((result) => {
      for (const { filter, consuming } of observed.consuming()) result.observe(consuming ? 1 : 0, { filter });
    });
  meter
    .createObservableGauge('darkroom_slots', { description: 'Tasks that can be in hand at once' })
    .addCallback((result) => {
      for (const { filter, slots } of observed.slots()) result.observe(slots, { filter });
    });
  meter
    .createObservableGauge('darkroom_waiting', {
      description: '1 while the task in hand waits for a queue that refuses what follows from it',
    })
    .addCallback((result) => {
      for (const { filter, waiting } of observed.waiting()) result.observe(waiting ? 1 : 0, { filter });
    });
  meter
    .createObservableCounter('darkroom_child_restarts', {
      description: 'Children replaced after a crash, a deadline, or wear',
    })
    .addCallback((result) => result.observe(observed.childRestarts()));
}

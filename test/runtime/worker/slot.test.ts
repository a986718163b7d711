/** Whether a slot is stuck, or waits for what a person can see. */
import { pino } from 'pino';
import { expect, it } from 'vitest';
import type { Broker, Delivery } from '../../../runtime/amqp/broker.ts';
import { PublishNacked } from '../../../runtime/amqp/broker.ts';
import { Metrics } from '../../../runtime/telemetry/metrics.ts';
import { Tracing } from '../../../runtime/telemetry/tracing.ts';
import type { Child } from '../../../runtime/worker/child-process.ts';
import type { StepResult } from '../../../runtime/worker/protocol.ts';
import { Slot } from '../../../runtime/worker/slot.ts';
import { Trust } from '../../../runtime/worker/trust.ts';
import { until } from '../../support/until.ts';
import { STEPPED } from './decisions.ts';

/** So long ago began whatever is in hand that it is overdue at once. */
const OVERDUE_MS = -60_001;

/** A slot with a task in hand, whose child and broker answer as said. */
function busySlot(run: () => Promise<StepResult>, publish: () => Promise<void>) {
  let deliver = (_: Delivery) => {};
  const broker = {
    state: { publish: 'connected', blocked: undefined },
    consume: (_: string, onDelivery: typeof deliver) => {
      deliver = onDelivery;
      return { consuming: true };
    },
    publish,
    publishLater() {},
  } as unknown as Broker;
  const log = pino({ level: 'silent' });
  const slot = new Slot({
    filter: 'blur',
    prefix: 'darkroom',
    name: 'pod/1',
    broker,
    child: { run, clean: async () => {} } as unknown as Child,
    metrics: new Metrics(),
    tracing: new Tracing(),
    log,
    taskTimeoutMs: OVERDUE_MS,
    carry: 'light',
    deliveryTimeMs: 60_000,
    retryDelaysMs: [5_000],
    crashLimit: 5,
    knownFilters: () => ['blur', 'flip'],
    trust: new Trust({ prefix: 'darkroom', isOurUser: () => false, replyQueues: [], log }),
  });
  const task = { id: 'cat', input: 'cat.jpg', steps: [{ filter: 'blur' }, { filter: 'flip' }] };
  const delivery = {
    alive: true,
    body: Buffer.from(JSON.stringify(task)),
    properties: { contentType: 'application/json' },
    headers: {},
    redelivered: false,
    deliveryCount: 0,
    receivedAtMs: Date.now(),
    ack: () => true,
  };
  deliver(delivery as unknown as Delivery);
  return { slot, end: () => (delivery.alive = false) };
}

it('is stuck when its work goes on far beyond the deadline', () => {
  const { slot } = busySlot(
    () => new Promise(() => {}),
    async () => {},
  );
  expect(slot.wedged).toBe(true);
});

it('is not stuck while a queue refuses what follows: a restart would end the task instead', async () => {
  const full = new PublishNacked('the queue is full');
  const { slot, end } = busySlot(
    async () => STEPPED as StepResult,
    () => Promise.reject(full),
  );
  await until(() => slot.waitsFor, 'the wait for the queue');
  expect(slot.wedged).toBe(false);
  end();
});

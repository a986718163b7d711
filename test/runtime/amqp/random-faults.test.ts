/** The supervisor against random schedules of network faults, checked by a ledger kept outside it. */
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Broker } from '../../../runtime/amqp/broker.ts';
import type { FaultProxy } from '../../support/fault-proxy.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { openTestBroker, testBroker, testQueue } from '../../support/rabbit.ts';
import { until } from '../../support/until.ts';

const { amqpUrl } = await testBroker();
const SCHEDULES = Number(process.env.FAULT_SCHEDULES ?? 3);
const PUBLISHERS = 4;

const fault = fc.oneof(
  fc
    .constantFrom('reset', 'end', 'half-open', 'black-hole', 'refuse', 'trickle')
    .map((kind) => ({ kind, bytes: 0 })),
  fc.record({ kind: fc.constant('cut'), bytes: fc.nat(900) }),
);
const schedule = fc.array(fc.record({ fault, quietMs: fc.nat(400) }), { minLength: 4, maxLength: 10 });

async function strike(proxy: FaultProxy, { kind, bytes }: { kind: string; bytes: number }) {
  if (kind === 'reset') return proxy.reset();
  if (kind === 'end') return proxy.end();
  if (kind === 'half-open') return proxy.halfOpen();
  if (kind === 'cut') {
    proxy.cutNext(bytes);
    return proxy.reset();
  }
  if (kind === 'black-hole') proxy.blackHole();
  if (kind === 'refuse') await proxy.refuse();
  if (kind === 'trickle') proxy.throttle(50);
  await sleep(300);
  await proxy.heal();
}

/** Publishes numbered messages until told to stop, each until it is confirmed. */
async function publishAll(
  broker: Broker,
  queue: string,
  name: number,
  stop: AbortSignal,
  confirmed: Set<string>,
) {
  for (let number = 0; !stop.aborted; number++) {
    const id = `${name}-${number}`;
    const message = { exchange: '', routingKey: queue, body: Buffer.from(id), mandatory: true };
    while (
      !(await broker.publish(message).then(
        () => true,
        () => false,
      ))
    )
      await sleep(20);
    confirmed.add(id);
  }
}

test('loses no confirmed message under any schedule of faults, and ends up consuming', {
  timeout: 600_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(schedule, async (steps) => {
      await using direct = openTestBroker(amqpUrl);
      await using queue = await testQueue(direct.broker);
      await using proxy = await startFaultProxy(amqpUrl);
      await using opened = openTestBroker(proxy.through(amqpUrl), { confirmTimeoutMs: 3000 });
      const confirmed = new Set<string>();
      const acknowledged = new Set<string>();
      const stop = new AbortController();
      const consumer = opened.broker.consume(queue.name, async (delivery) => {
        await sleep(1);
        if (delivery.ack()) acknowledged.add(delivery.body.toString());
      });
      const publishing = Promise.all(
        Array.from({ length: PUBLISHERS }, (_, name) =>
          publishAll(opened.broker, queue.name, name, stop.signal, confirmed),
        ),
      );

      for (const { fault, quietMs } of steps) {
        await strike(proxy, fault);
        await sleep(quietMs);
      }
      stop.abort();
      await publishing;

      await until(
        () => [...confirmed].every((id) => acknowledged.has(id)),
        'every confirmed message to be acknowledged',
      );
      await until(() => consumer.consuming, 'consuming');
      expect(confirmed.size).toBeGreaterThan(0);
      // Copies of what was published again are delivered too.
      const depth = async () =>
        (await direct.broker.withChannel((channel) => channel.checkQueue(queue.name))).messageCount;
      await until(async () => (await depth()) === 0, 'the queue to run empty');
    }),
    { numRuns: SCHEDULES, endOnFailure: true },
  );
});

/** Headers as a careless or hostile publisher might send them: any names, ours among them, any type. */
import fc from 'fast-check';
import type { PublishProperties } from '../../../runtime/amqp/broker.ts';
import { words } from '../../support/words.ts';
import { spoof } from './spoofs.ts';

const OUR_HEADERS = words(`
  darkroom-steps darkroom-output darkroom-step darkroom-attempt darkroom-generation darkroom-inline
  darkroom-published-ms darkroom-submitted-ms darkroom-first-failed-ms darkroom-history darkroom-recorded
  traceparent tracestate x-death x-delivery-count x-first-death-queue __proto__ constructor
`);

/** Any number of headers, our own names among them, with values of every type that AMQP knows. */
export function wildHeaders(): fc.Arbitrary<(unique: string) => Record<string, unknown>> {
  const name = fc.oneof(fc.constantFrom(...OUR_HEADERS), fc.string({ minLength: 1, maxLength: 20 }));
  const steps = fc.constantFrom(
    '[{"filter":"flip","params":{"direction":"vertical"}}]',
    '[{"filter":"flip"}]',
    '[]',
    '{',
    '[{"filter":"none"}]',
  );
  return fc
    .record({
      any: fc.array(fc.tuple(name, headerValue()), { maxLength: 6 }),
      steps: fc.option(steps, { nil: undefined, freq: 3 }),
      id: fc.option(headerValue(), { nil: undefined, freq: 10 }),
      fingerprint: fc.option(headerValue(), { nil: undefined, freq: 20 }),
    })
    .map(({ any, steps, id, fingerprint }) => (unique) => ({
      ...Object.fromEntries(any),
      ...(steps !== undefined && { 'darkroom-steps': steps }),
      ...(id !== undefined && { 'darkroom-id': typeof id === 'string' ? `${id}${unique}` : id }),
      ...(fingerprint !== undefined && { 'darkroom-fingerprint': fingerprint }),
    }));
}

/** Where a message, or its reply, is to go beside or instead of where it should. */
export function addresses(
  queues: readonly string[],
  filters: readonly string[],
): fc.Arbitrary<PublishProperties> {
  const keys = fc.uniqueArray(fc.constantFrom(...filters, ...queues, 'nobody', ''), {
    minLength: 1,
    maxLength: 4,
  });
  const replyTo = fc.oneof(
    fc.constantFrom(...queues),
    fc.constantFrom('amq.rabbitmq.reply-to.g1h2Aw.forged==', 'amq.gen-forged', 'x'.repeat(255)),
    spoof(),
  );
  const headers = fc.record({ CC: keys, BCC: keys, 'x-death': forgedDeaths(queues) }, { requiredKeys: [] });
  return fc.oneof(
    fc.record({ replyTo }),
    fc.record({ headers }),
    fc.record({ replyTo, headers, userId: fc.constant(undefined) }),
  );
}

/** What only a broker may write: where and why the message was set aside before. */
export function forgedDeaths(queues: readonly string[]): fc.Arbitrary<unknown[]> {
  const death = fc.record({
    queue: fc.constantFrom(...queues),
    reason: fc.constantFrom('expired', 'delivery_limit', 'rejected', 'maxlen', '\x1b[2J'),
    count: fc.constantFrom(1, 1_000_000, -1),
    exchange: fc.constant(''),
    'routing-keys': fc.constantFrom([], [''], ['x'.repeat(300)]),
  });
  return fc.array(death, { maxLength: 3 });
}

/** amqplib writes a value of a chosen type when told so by `!`. */
export function headerValue(): fc.Arbitrary<unknown> {
  const typed = <T>(type: string, values: fc.Arbitrary<T>) => values.map((value) => ({ '!': type, value }));
  const leaf = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 50 }),
    fc.boolean(),
    fc.constant(null),
    typed('int8', fc.integer({ min: -128, max: 127 })),
    typed('uint8', fc.nat(255)),
    typed('int16', fc.integer({ min: -32_768, max: 32_767 })),
    typed('uint16', fc.nat(65_535)),
    typed('int32', fc.integer()),
    typed('uint32', fc.nat(0xffffffff)),
    typed('int64', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
    // RabbitMQ itself ends the connection of whoever sends NaN or an infinity: Erlang has no such numbers.
    typed('float', fc.float({ noNaN: true, noDefaultInfinity: true })),
    typed(
      'double',
      fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(-1e30, 1e30, -0)),
    ),
    typed('timestamp', fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
    typed('decimal', fc.record({ places: fc.nat(255), digits: fc.nat(0xffffffff) })),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom(0, 1, 2, 999, 1e6, 1e15, -1),
  );
  // A key "!" would be taken for amqplib's own notation.
  const key = fc.string({ maxLength: 10 }).map((text) => text.replaceAll('!', '?'));
  const table = (of: fc.Arbitrary<unknown>) => fc.dictionary(key, of, { maxKeys: 4 });
  return fc.oneof(
    { weight: 8, arbitrary: leaf },
    { weight: 1, arbitrary: fc.array(leaf, { maxLength: 4 }) },
    { weight: 1, arbitrary: table(leaf) },
    { weight: 1, arbitrary: fc.array(table(leaf), { maxLength: 3 }) },
    // Encoded by ourselves, so no deeper than amqplib can.
    { weight: 1, arbitrary: fc.integer({ min: 10, max: 500 }).map(nested) },
  );
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

/**
 * RabbitMQ 3.10's own dead-lettering of a queue stops for ever at an `x-death` that it cannot read, on a message that
 * expires: a fault of the broker, which no worker can mend.
 */
export function withoutDeath(headers: Record<string, unknown>, expires: boolean): Record<string, unknown> {
  if (!expires) return headers;
  const { 'x-death': _, ...others } = headers;
  return others;
}

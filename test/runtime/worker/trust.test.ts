/** What of a message is believed, by who sent it. */
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { Delivery } from '../../../runtime/amqp/broker.ts';
import { HEADERS } from '../../../runtime/task/hop.ts';
import { Trust } from '../../../runtime/worker/trust.ts';

const HOP_HEADERS = Object.values(HEADERS).filter(
  (name) =>
    !['darkroom-steps', 'darkroom-output', 'darkroom-published-ms', 'darkroom-recorded'].includes(name),
);

function trustOf(replyQueues = ['amq.*']): Trust {
  return new Trust({
    prefix: 'darkroom',
    isOurUser: (user) => user === 'worker' || user === 'operator',
    replyQueues,
    log: pino({ level: 'silent' }),
  });
}

function deliveryOf(properties: object, headers: Record<string, unknown> = {}): Delivery {
  return { body: Buffer.alloc(0), properties, headers, redelivered: false, receivedAtMs: 1 } as never;
}

describe('headers that say where a task stands', () => {
  const forged = { ...Object.fromEntries(HOP_HEADERS.map((name) => [name, 1])), tenant: 'a' };

  it.each(['worker', 'operator'])('count from our own user %s', (userId) => {
    expect(trustOf().admit(deliveryOf({ userId }, forged)).headers).toEqual(forged);
  });

  it.each([
    ['nobody', {}],
    ['another user', { userId: 'publisher' }],
    ['an empty name', { userId: '' }],
    ['a name that is a number', { userId: 7 }],
    ['a name that is a list', { userId: ['worker'] }],
  ])('do not count from %s; what is not ours is kept', (_, properties) => {
    expect(trustOf().admit(deliveryOf(properties, forged)).headers).toEqual({ tenant: 'a' });
  });

  it('that do not count are counted themselves, so that no two workers send a task to and fro for ever', () => {
    const doubts = (headers: object, userId = 'publisher') =>
      trustOf().admit(deliveryOf({ userId }, headers as Record<string, unknown>)).doubts;
    expect(doubts({ 'darkroom-step': 1 })).toBe(1);
    expect(doubts({ 'darkroom-step': 1, 'darkroom-doubts': 3 })).toBe(4);
    expect(doubts({ 'darkroom-doubts': 3 })).toBe(3);
    expect(doubts({ 'darkroom-doubts': 'many' })).toBe(0);
    expect(doubts({ 'darkroom-doubts': 99 })).toBe(0);
    expect(doubts({ 'darkroom-step': 1 }, 'worker')).toBeUndefined();
  });

  it('that are meant for publishers count from anyone', () => {
    const headers = { 'darkroom-steps': '[]', 'darkroom-output': '{}', 'darkroom-recorded': true };
    expect(trustOf().admit(deliveryOf({}, headers)).headers).toEqual(headers);
  });

  it('that are new, or spelt in a way of their own, do not slip through', () => {
    const headers = { 'darkroom-anything': 1, 'darkroom-': 1 };
    expect(trustOf().admit(deliveryOf({}, headers)).headers).toEqual({});
  });
});

describe('a reply', () => {
  const replyTo = (queue: string, patterns?: string[]) =>
    trustOf(patterns).admit(deliveryOf({ replyTo: queue, correlationId: 'c' })).properties.replyTo;

  it.each(['amq.rabbitmq.reply-to.g1h2Aw', 'amq.gen-4Vd0'])(
    'goes to %s, which is its asker’s own',
    (queue) => {
      expect(replyTo(queue)).toBe(queue);
    },
  );

  it.each([
    'darkroom',
    'darkroom.dead',
    'darkroom.blur',
    'darkroom.retry.5s',
    'somebody-else',
    '',
    'x\namq.gen-1',
  ])('does not go to %j', (queue) => {
    expect(replyTo(queue) || undefined).toBeUndefined();
  });

  it('goes to the queues that the installation names, and never to our own', () => {
    const patterns = ['answers-*', 'exact', 'a.b', '*'];
    expect(replyTo('answers-7', patterns.slice(0, 3))).toBe('answers-7');
    expect(replyTo('exact', patterns.slice(0, 3))).toBe('exact');
    expect(replyTo('exactly', patterns.slice(0, 3))).toBeUndefined();
    expect(replyTo('aXb', patterns.slice(0, 3))).toBeUndefined();
    expect(replyTo('darkroom.dead', patterns)).toBeUndefined();
  });

  it('that is not sent leaves the rest of the message as it is', () => {
    const { properties } = trustOf().admit(deliveryOf({ replyTo: 'no', correlationId: 'c' }));
    expect(properties).toMatchObject({ correlationId: 'c', replyTo: undefined });
  });
});

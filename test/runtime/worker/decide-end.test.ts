/** What follows the end of a task. */
import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../../runtime/worker/decision.ts';
import { decided, headersOf, markerOf, purposes, TIMINGS } from './decisions.ts';

const [ONCE, AGAIN] = [{ redelivered: false }, { redelivered: true }];

describe('a task that has ended', () => {
  const completed: Verdict = {
    kind: 'completed',
    marker: markerOf('completed', { output: { key: 'out/cat.jpg' } }),
    timings: TIMINGS,
    bytesIn: 1,
    bytesOut: 1,
  };
  const askedToReply = { properties: { replyTo: 'answers', correlationId: 'c' } as never };

  it('tells its final event, and its intermediates go', () => {
    const decision = decided({ hop: { step: 1 } }, completed);
    expect(decision).toMatchObject({ settlement: 'completed', cleanUp: { id: 'cat' } });
    expect(decision.messages).toMatchObject([
      { purpose: 'event', exchange: 'darkroom.events', routingKey: 'task.completed' },
    ]);
  });

  it('of carried steps left nothing to clean up, unless an earlier delivery hopped', () => {
    const carried = { hop: { step: 1 }, fromStep: 0 };
    expect(decided(carried, completed).cleanUp).toBeUndefined();
    expect(decided({ ...carried, delivery: { redelivered: true } }, completed).cleanUp).toMatchObject({
      id: 'cat',
    });
  });

  it('of one step left nothing to clean up, unless its submission was recorded', () => {
    const task = { steps: [{ filter: 'blur', params: {} }] };
    expect(decided({ task }, completed).cleanUp).toBeUndefined();
    const recorded = { headers: { 'darkroom-recorded': true } };
    expect(decided({ task, delivery: recorded }, completed).cleanUp).toMatchObject({ id: 'cat' });
  });

  it('replies with its event where a reply was asked for', () => {
    const decision = decided({ delivery: askedToReply }, completed);
    expect(decision.messages[1]).toMatchObject({
      purpose: 'reply',
      exchange: '',
      routingKey: 'answers',
      properties: { correlationId: 'c', contentType: 'application/cloudevents+json' },
    });
  });

  it('replies with the image that was wanted, and with its event where the broker would refuse the image', () => {
    const reply = (bytes: number) =>
      decided(
        { delivery: askedToReply },
        { ...completed, image: { bytes: Buffer.alloc(bytes), contentType: 'image/png' } },
      ).messages[1]!;
    expect(reply(100)).toMatchObject({
      properties: {
        contentType: 'image/png',
        headers: { 'darkroom-id': 'cat', 'darkroom-output': 'out/cat.jpg' },
      },
    });
    expect(reply(100).body).toHaveLength(100);
    expect(reply(16 * 1_048_576).properties!.contentType).toBe('application/cloudevents+json');
  });

  it('before, by another copy, tells the same again', () => {
    const decision = decided(
      { hop: { generation: 0 } },
      { kind: 'ended', marker: { ...markerOf('completed'), generation: 0 } },
    );
    expect(decision).toMatchObject({ settlement: 'repeated', log: { fields: { repeat: true } } });
    const event = JSON.parse(decision.messages[0]!.body.toString());
    expect(event).toMatchObject({ id: 'cat:end:completed', time: '2026-01-01T00:00:00Z' });
  });

  it('by cancellation is told as failed, once, without a dead letter', () => {
    const decision = decided(
      { delivery: { redelivered: true } },
      { kind: 'ended', marker: markerOf('cancelled') },
    );
    expect(decision).toMatchObject({ settlement: 'cancelled', cleanUp: { id: 'cat' } });
    expect(purposes(decision)).toEqual(['event']);
    expect(decision.messages[0]!.routingKey).toBe('task.failed');
  });

  it.each([
    ['its own message, delivered again, owes the letter', AGAIN, { step: 0 }, 0, ['event', 'letter']],
    ['a copy that was given back owes it', ONCE, { step: 0, wasGivenBack: true }, 0, ['event', 'letter']],
    ['a later step owes it', ONCE, { step: 1 }, 0, ['event', 'letter']],
    ['a later try owes it', ONCE, { step: 0, attempt: 2 }, 0, ['event', 'letter']],
    ['an earlier try owes none', ONCE, { step: 0, attempt: 1 }, 0, ['event']],
    ['another copy of the same step owes none', ONCE, { step: 0 }, 0, ['event']],
    ['an earlier step owes none', ONCE, { step: 0 }, 1, ['event']],
  ])('by failure keeps its intermediates; %s', (_, delivery, hop, failedStep, expected) => {
    const marker = markerOf('failed', {
      step: failedStep,
      attempts: 2,
      failure_type: 'storage',
      failure_reason: 'gone',
    });
    const decision = decided({ delivery, hop }, { kind: 'ended', marker });
    expect(purposes(decision)).toEqual(expected);
    expect(decision.cleanUp).toBeUndefined();
    if (expected.length === 2)
      expect(headersOf(decision, 1)).toMatchObject({
        'darkroom-failure-type': 'storage',
        'darkroom-failure-reason': 'gone',
      });
  });

  it('in a replayed generation tells an event of its own', () => {
    const marker = { ...markerOf('completed'), generation: 2 };
    const decision = decided({ hop: { generation: 2 } }, { kind: 'ended', marker });
    expect(decision.messages[0]!.properties!.messageId).toBe('cat:end:completed:g2');
  });
});

/** Every row of the decision on a delivery. */
import { describe, expect, it } from 'vitest';
import { names } from '../../../runtime/amqp/topology.ts';
import { Rejection } from '../../../runtime/errors.ts';
import type { Hop } from '../../../runtime/task/hop.ts';
import type { Task } from '../../../runtime/task/task.ts';
import type { TaskMarker } from '../../../runtime/task/task-marker.ts';
import { decide, noQueueFor, verdictBeforeWork } from '../../../runtime/worker/decide.ts';
import { decideUnforeseen, decideUnreadable } from '../../../runtime/worker/decide-unreadable.ts';
import type { Decision, MarkFirst, Policy, Verdict } from '../../../runtime/worker/decision.ts';
import type { DeliveryContext, Incoming } from '../../../runtime/worker/delivery-context.ts';
import type { StandingMarker, StepFailure } from '../../../runtime/worker/protocol.ts';

const AT = names('darkroom');
const NOW_MS = 1_700_000_000_000;
const POLICY: Policy = { at: AT, retryDelaysMs: [5_000, 30_000], workMs: 12.4, nowMs: NOW_MS, jitter: 0 };
const TIMINGS = { fetch: 1, decode: 2, filter: 3, encode: 4, store: 5 };
const STEPPED: Verdict = { kind: 'stepped', repeated: false, timings: TIMINGS, bytesIn: 10, bytesOut: 20 };
const HANDLER = { at: AT, filter: 'blur', worker: 'pod/1' };

interface Given {
  hop?: Partial<Hop>;
  task?: Partial<Task>;
  delivery?: Partial<DeliveryContext['delivery']>;
}

function contextOf({ hop, task, delivery }: Given = {}): DeliveryContext {
  return {
    filter: 'blur',
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
    hop: {
      step: 0,
      attempt: 0,
      generation: 0,
      restarts: 0,
      inline: false,
      wasGivenBack: false,
      publishedMs: null,
      submittedMs: null,
      seenMs: null,
      firstFailedMs: null,
      history: [],
      ...hop,
    },
    traceparent: undefined,
    queueMs: 7,
  };
}

function markerOf(outcome: TaskMarker['outcome'], data: Record<string, unknown> = {}): TaskMarker {
  return { task_id: 'cat', generation: 0, fingerprint: 'print', outcome, time: '2026-01-01T00:00:00Z', data };
}

function failure(consequence: 'reject' | 'retry', failureType: StepFailure['failureType'] = 'storage') {
  return { kind: 'failed', consequence, failureType, message: 'it broke' } as const;
}

function standing(marker: TaskMarker, more: Partial<StandingMarker> = {}): StandingMarker {
  return { marker, isSameTask: true, isStored: true, ...more };
}

function decided(given: Given, verdict: Verdict, marker?: StandingMarker): Decision {
  const decision = decide(contextOf(given), verdict, POLICY, marker);
  if ('mark' in decision) throw new Error('expected a decision, got the wish for a marker');
  return decision;
}

function markFirst(given: Given, verdict: Verdict): TaskMarker {
  return (decide(contextOf(given), verdict, POLICY) as MarkFirst).mark;
}

function purposes({ messages }: Decision): string[] {
  return messages.map(({ purpose }) => purpose);
}

function headersOf(decision: Decision, index = 0): Record<string, unknown> {
  return decision.messages[index]!.properties!.headers!;
}

describe('a step that is done', () => {
  it('sends the task on to the next filter’s queue, past the exchange and mandatory', () => {
    const decision = decided({}, STEPPED);
    expect(decision).toMatchObject({
      settlement: 'completed',
      needsQueueOf: 'flip',
      messages: [{ purpose: 'step', exchange: '', routingKey: 'darkroom.flip', mandatory: true }],
    });
    expect(decision.cleanUp).toBeUndefined();
    expect(headersOf(decision)).toMatchObject({
      'darkroom-step': 1,
      'darkroom-attempt': 0,
      'darkroom-published-ms': NOW_MS,
      'darkroom-submitted-ms': NOW_MS - 500,
      'darkroom-seen-ms': NOW_MS - 500,
      'darkroom-history': '[{"filter":"blur","attempt":0,"queue_ms":7,"work_ms":12}]',
    });
  });

  it('is announced with what it took, without anyone who waits for it', () => {
    const [event] = decided({ hop: { attempt: 1 } }, STEPPED).announcements;
    expect(event).toMatchObject({
      type: 'step-completed',
      data: { next: 'flip', attempt: 1, work_ms: 12, timings_ms: { store: 5 }, worker: 'pod/1' },
    });
  });

  it('starts the tries of the next one afresh, in the same generation', () => {
    const hop = { attempt: 2, generation: 3, firstFailedMs: 1, submittedMs: 5 };
    const headers = headersOf(decided({ hop }, STEPPED));
    expect(headers).toMatchObject({
      'darkroom-attempt': 0,
      'darkroom-generation': 3,
      'darkroom-submitted-ms': 5,
    });
    expect(headers['darkroom-first-failed-ms']).toBeUndefined();
  });

  it('leaves an image that came inside its message behind, and sends the task in JSON', () => {
    const image = { body: Buffer.from('pixels'), properties: { contentType: 'image/png' } as never };
    const [message] = decided({ hop: { inline: true }, delivery: image }, STEPPED).messages;
    expect(message!.properties!.contentType).toBe('application/json');
    expect(JSON.parse(message!.body.toString())).toMatchObject({
      id: 'cat',
      steps: [{ filter: 'blur' }, {}],
    });
  });

  it('carries the publisher’s headers and its trace on, but none that was meant for one hop', () => {
    const delivery = { headers: { tenant: 'a', 'x-death': [], 'x-delivery-count': 2, CC: ['x'] } };
    const context = { ...contextOf({ delivery }), traceparent: '00-1-2-01' };
    const headers = headersOf(decide(context, STEPPED, POLICY) as Decision);
    expect(headers).toMatchObject({ tenant: 'a', traceparent: '00-1-2-01' });
    expect(Object.keys(headers)).not.toEqual(expect.arrayContaining(['x-death']));
    expect(headers).not.toHaveProperty('x-delivery-count');
    expect(headers).not.toHaveProperty('CC');
  });
});

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
    const decision = decided({}, completed);
    expect(decision).toMatchObject({ settlement: 'completed', cleanUp: 'cat' });
    expect(decision.messages).toMatchObject([
      { purpose: 'event', exchange: 'darkroom.events', routingKey: 'task.completed' },
    ]);
  });

  it('of one step left nothing to clean up, unless its submission was recorded', () => {
    const task = { steps: [{ filter: 'blur', params: {} }] };
    expect(decided({ task }, completed).cleanUp).toBeUndefined();
    const recorded = { headers: { 'darkroom-recorded': true } };
    expect(decided({ task, delivery: recorded }, completed).cleanUp).toBe('cat');
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
    expect(decision).toMatchObject({ settlement: 'cancelled', cleanUp: 'cat' });
    expect(purposes(decision)).toEqual(['event']);
    expect(decision.messages[0]!.routingKey).toBe('task.failed');
  });

  it.each([
    ['its own message, delivered again, owes the letter', { redelivered: true }, 0, 0, ['event', 'letter']],
    ['a later step owes the letter', { redelivered: false }, 1, 0, ['event', 'letter']],
    ['another copy of the same step owes none', { redelivered: false }, 0, 0, ['event']],
    ['an earlier step owes none', { redelivered: false }, 0, 1, ['event']],
  ])('by failure keeps its intermediates; %s', (_, delivery, step, failedStep, expected) => {
    const marker = markerOf('failed', { step: failedStep, failure_type: 'storage', failure_reason: 'gone' });
    const decision = decided({ delivery, hop: { step } }, { kind: 'ended', marker });
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

describe('a step that failed', () => {
  it('is tried again after a delay that waits in the broker', () => {
    const decision = decided({ hop: { attempt: 1 } }, failure('retry'));
    expect(decision).toMatchObject({
      settlement: 'retried',
      messages: [{ purpose: 'retry', exchange: 'darkroom.retry.30s', routingKey: 'blur', mandatory: true }],
      announcements: [{ type: 'retrying', data: { attempt: 2, delay_ms: 30_000, failure_type: 'storage' } }],
    });
    expect(headersOf(decision)).toMatchObject({
      'darkroom-attempt': 2,
      'darkroom-first-failed-ms': NOW_MS,
      'darkroom-published-ms': NOW_MS + 30_000,
    });
  });

  it('is tried again up to a quarter earlier', () => {
    const expiration = (jitter: number) =>
      (decide(contextOf(), failure('retry'), { ...POLICY, jitter }) as Decision).messages[0]!.properties!
        .expiration;
    expect([expiration(0), expiration(1)]).toEqual(['5000', '3750']);
  });

  it.each([
    ['the sender’s fault', { attempt: 0 }, failure('reject', 'invalid-params'), 'it broke'],
    ['no try left', { attempt: 2 }, failure('retry'), 'it broke (given up after 3 attempts)'],
  ])('for good (%s) is marked first', (_, hop, verdict, reason) => {
    expect(markFirst({ hop }, verdict)).toMatchObject({
      task_id: 'cat',
      outcome: 'failed',
      fingerprint: 'print',
      data: { failure_reason: reason, attempts: hop.attempt + 1, step: 0 },
    });
  });

  it('for good, once marked, leaves a dead letter and tells its end, and keeps its intermediates', () => {
    const verdict = failure('reject', 'not-an-image');
    const decision = decided(
      { delivery: { properties: { replyTo: 'r' } as never } },
      verdict,
      standing(markerOf('failed')),
    );
    expect(purposes(decision)).toEqual(['letter', 'event', 'reply']);
    expect(decision).toMatchObject({ settlement: 'failed', log: { level: 'error' } });
    expect(decision.cleanUp).toBeUndefined();
    expect(headersOf(decision)).toMatchObject({
      'darkroom-id': 'cat',
      'darkroom-failure-type': 'not-an-image',
      'darkroom-attempts': 1,
    });
  });

  it.each(['completed', 'cancelled'] as const)(
    'of a task that another copy has %s changes nothing',
    (outcome) => {
      const decision = decided({}, failure('reject'), standing(markerOf(outcome)));
      expect(decision.settlement).toBe('repeated');
      expect(purposes(decision)).toEqual(['event']);
    },
  );

  it('because its id is another task’s leaves that task’s marker and end alone', () => {
    const decision = decided({}, failure('reject', 'task-id-reused'));
    expect(purposes(decision)).toEqual(['letter']);
    expect(decision.settlement).toBe('failed');
  });

  it('whose id another task has ended meanwhile leaves that task’s end alone', () => {
    const other = standing(markerOf('completed'), { isSameTask: false });
    const decision = decided({}, failure('reject'), other);
    expect(purposes(decision)).toEqual(['letter']);
    expect(decision.settlement).toBe('failed');
  });

  it('after its result was promised is tried for longer, with the last delay', () => {
    const promised = standing(markerOf('completed'), { isStored: false });
    const decision = decided({ hop: { attempt: 5 } }, failure('retry'), promised);
    expect(decision).toMatchObject({
      settlement: 'retried',
      messages: [{ purpose: 'retry', exchange: 'darkroom.retry.30s' }],
    });
    const noDelays = { ...POLICY, retryDelaysMs: [] };
    expect(decide(contextOf(), failure('retry'), noDelays, promised)).toMatchObject({
      settlement: 'retried',
      messages: [{ purpose: 'copy', routingKey: 'darkroom.blur' }],
    });
  });

  it('after its result was promised, and after all tries, takes the promise back', () => {
    const promised = standing(markerOf('completed'), { isStored: false });
    expect(decide(contextOf({ hop: { attempt: 22 } }), failure('retry'), POLICY, promised)).toMatchObject({
      replace: true,
      mark: { outcome: 'failed' },
    });
  });

  it('marks the generation in which it failed', () => {
    expect(markFirst({ hop: { generation: 4 } }, failure('reject')).generation).toBe(4);
  });
});

describe('a task whose image between two steps is gone', () => {
  it('starts again with its first step', () => {
    const history = [{ filter: 'blur', attempt: 0, queue_ms: 1, work_ms: 1 }];
    const decision = decided({ hop: { step: 1, attempt: 1, history } }, { kind: 'restart' });
    expect(decision).toMatchObject({
      settlement: 'restarted',
      needsQueueOf: 'blur',
      messages: [{ purpose: 'step', routingKey: 'darkroom.blur' }],
    });
    expect(headersOf(decision)).toMatchObject({ 'darkroom-step': 0, 'darkroom-attempt': 0 });
    expect(headersOf(decision)['darkroom-history']).toBeUndefined();
  });

  it('fails as a fault of the storage when starting again did not help', () => {
    const mark = markFirst({ hop: { step: 1, restarts: 3 } }, { kind: 'restart' });
    expect(mark.data).toMatchObject({ failure_type: 'storage' });
    expect(mark.data.failure_reason).toContain('STORAGE_URL');
    expect(headersOf(decided({ hop: { step: 1, restarts: 1 } }, { kind: 'restart' }))).toMatchObject({
      'darkroom-restarts': 2,
    });
  });

  it('fails when the original came inside the first message', () => {
    expect(markFirst({ hop: { step: 1, inline: true } }, { kind: 'restart' }).data).toMatchObject({
      failure_type: 'input-not-found',
    });
  });
});

describe('a delivery without a result', () => {
  it('at the wrong queue goes to the right one as it came', () => {
    const decision = decided({ delivery: { headers: { tenant: 'a' } } }, { kind: 'misrouted', due: 'flip' });
    expect(decision).toMatchObject({
      settlement: 'forwarded',
      needsQueueOf: 'flip',
      messages: [{ purpose: 'copy', routingKey: 'darkroom.flip', properties: { headers: { tenant: 'a' } } }],
    });
    expect(decision.messages[0]!.body.toString()).toBe('{"the":"body"}');
  });

  it('of a worker that must stop goes back as a fresh copy, or else by nack', () => {
    expect(decided({}, { kind: 'given-back' })).toMatchObject({
      settlement: 'given-back',
      otherwise: 'nack',
      messages: [
        {
          purpose: 'copy',
          routingKey: 'darkroom.blur',
          properties: { headers: { 'darkroom-given-back': true, 'darkroom-attempt': 0 } },
        },
      ],
    });
  });

  it('whose next step has no queue is tried again, in words', () => {
    const decision = decided({}, noQueueFor('flip'));
    expect(decision.settlement).toBe('retried');
    expect(decision.log.fields.failure_reason).toContain('"flip"');
    expect(decision.log.fields.failure_reason).toContain('darkroom queues declare');
  });
});

describe('before any work, a delivery', () => {
  const checked = (given: Given, deliveryCount = 0) =>
    verdictBeforeWork(contextOf(given), deliveryCount, {
      crashLimit: 3,
      knownFilters: () => ['blur', 'flip'],
    });

  it('that is due here goes ahead', () => {
    expect(checked({}, 2)).toBeUndefined();
  });

  it('that is due elsewhere is misrouted', () => {
    expect(checked({ hop: { step: 1 } })).toEqual({ kind: 'misrouted', due: 'flip' });
  });

  it('for a filter that nobody has is rejected, with a suggestion', () => {
    const task = { steps: [{ filter: 'blurr', params: {} }] };
    expect(checked({ task })).toMatchObject({ consequence: 'reject', failureType: 'unknown-filter' });
    expect(checked({ task })).toHaveProperty('message', expect.stringContaining('"blur"'));
  });

  it('that took down workers up to the limit is set aside', () => {
    expect(checked({}, 3)).toMatchObject({ consequence: 'reject', failureType: 'poison' });
  });
});

describe('a message that is no task', () => {
  const rejection = new Rejection('The body is not JSON.', { failureType: 'invalid-message' });
  const incoming = (given: Partial<Incoming>): Incoming => ({
    body: Buffer.from('?'),
    properties: {} as never,
    headers: {},
    ...given,
  });

  it('without an id is a dead letter and no event', () => {
    const decision = decideUnreadable(incoming({}), rejection, HANDLER);
    expect(purposes(decision)).toEqual(['letter']);
    expect(decision.settlement).toBe('rejected');
    expect(headersOf(decision)).toMatchObject({ 'darkroom-failure-reason': 'The body is not JSON.' });
  });

  it.each([
    ['message_id', { properties: { messageId: 'm-1' } as never }, 'm-1'],
    ['header', { headers: { 'darkroom-id': 'h-1' } }, 'h-1'],
    ['broken JSON', { body: Buffer.from('{"id": "b-1", "input"') }, 'b-1'],
  ])('is told under the id that its %s gives', (_, given, id) => {
    const decision = decideUnreadable(incoming(given), rejection, HANDLER);
    expect(purposes(decision)).toEqual(['letter', 'event']);
    expect(JSON.parse(decision.messages[1]!.body.toString())).toMatchObject({ subject: id });
  });

  it('or could not be settled is kept without its headers, or else rejected', () => {
    const decision = decideUnforeseen(incoming({ headers: { odd: 1 } }), new Error('too odd'), HANDLER);
    expect(decision).toMatchObject({ otherwise: 'reject', settlement: 'set-aside' });
    expect(headersOf(decision)).not.toHaveProperty('odd');
    expect(headersOf(decision)['darkroom-failure-reason']).toBe('Darkroom itself failed: too odd');
  });
});

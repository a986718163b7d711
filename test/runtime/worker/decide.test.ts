/** What follows a step that is done, an image that is gone, and a delivery without work. */
import { describe, expect, it } from 'vitest';
import { decide, noQueueFor, verdictBeforeWork } from '../../../runtime/worker/decide.ts';
import type { Decision } from '../../../runtime/worker/decision.ts';
import {
  contextOf,
  decided,
  type Given,
  headersOf,
  markFirst,
  NOW_MS,
  POLICY,
  STEPPED,
} from './decisions.ts';

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

  it('tells the next hop when an earlier try of it may have carried the task to its end', () => {
    const told = (given: Given) => headersOf(decided(given, STEPPED))['darkroom-may-have-promised'];
    expect(told({})).toBeUndefined();
    expect(told({ delivery: { redelivered: true } })).toBe(true);
    expect(told({ hop: { attempt: 1 } })).toBe(true);
    expect(told({ hop: { mayHavePromised: true } })).toBe(true);
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

describe('a task that took workers down', () => {
  it('is tried alone by a copy that does not count, and knows that it may have been worked on', () => {
    const decision = decided({}, { kind: 'suspect' });

    expect(decision).toMatchObject({ settlement: 'given-back', otherwise: 'nack' });
    expect(headersOf(decision)).toMatchObject({ 'darkroom-suspect': true, 'darkroom-given-back': true });
    expect(decision.messages).toMatchObject([{ purpose: 'copy', routingKey: 'darkroom.blur' }]);
  });

  it('stays a suspect when it is given back, and not once its step is done or has failed', () => {
    const suspect = { hop: { isSuspect: true } };

    expect(headersOf(decided(suspect, { kind: 'given-back' }))).toMatchObject({ 'darkroom-suspect': true });
    expect(headersOf(decided(suspect, STEPPED))['darkroom-suspect']).toBeUndefined();
    expect(headersOf(decided(suspect, noQueueFor('flip')))['darkroom-suspect']).toBeUndefined();
  });
});

describe('before any work, a delivery', () => {
  const checked = (given: Given, deliveryCount = 0, hasNeighbours = false) =>
    verdictBeforeWork(contextOf(given), deliveryCount, {
      crashLimit: 3,
      hasNeighbours,
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

  it.each([
    ['of a worker without other tasks', {}, 3, false, 'poison', /3 times and/],
    ['beside others', {}, 2, true, 'suspect', undefined],
    [
      'alone, after it was suspected',
      { isSuspect: true },
      1,
      true,
      'poison',
      /3 times.*at last with no other task/,
    ],
  ])(
    'that took down workers as often as it may is no longer worked on: %s',
    (_, hop, limit, neighbours, verdict, words) => {
      expect(checked({ hop }, limit - 1, neighbours)).toBeUndefined();
      const found = checked({ hop }, limit, neighbours);
      expect(found?.kind === 'failed' ? found.failureType : found?.kind).toBe(verdict);
      if (words !== undefined) expect(found).toHaveProperty('message', expect.stringMatching(words));
    },
  );

  it('whose task is begun anew for ever, because workers do not believe each other, is rejected', () => {
    expect(checked({ delivery: { doubts: 3 } })).toBeUndefined();
    expect(checked({ delivery: { doubts: 4 } })).toMatchObject({ consequence: 'reject' });
    expect(checked({ delivery: { doubts: 4 } })).toHaveProperty(
      'message',
      expect.stringContaining('TRUSTED_USERS'),
    );
  });

  it('that took down workers up to the limit is set aside', () => {
    expect(checked({}, 3)).toMatchObject({ consequence: 'reject', failureType: 'poison' });
  });
});

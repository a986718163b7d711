/** What follows a failed step. */
import { describe, expect, it } from 'vitest';
import { decide } from '../../../runtime/worker/decide.ts';
import type { Decision } from '../../../runtime/worker/decision.ts';
import {
  contextOf,
  decided,
  failure,
  headersOf,
  markerOf,
  markFirst,
  NOW_MS,
  POLICY,
  purposes,
  standing,
} from './decisions.ts';

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
    const promised = standing({ ...markerOf('completed'), from_step: 0 }, { isStored: false });
    expect(decide(contextOf({ hop: { attempt: 22 } }), failure('retry'), POLICY, promised)).toMatchObject({
      replace: true,
      mark: { outcome: 'failed', from_step: 0 },
    });
  });

  it('leaves a promise to the delivery that began with the step at which it was made, and to what follows its repeats', () => {
    const promised = standing({ ...markerOf('completed'), from_step: 1 }, { isStored: false });
    const end = (hop: object) =>
      decide(contextOf({ hop: { attempt: 22, ...hop } }), failure('retry'), POLICY, promised);
    expect(end({ step: 0 })).toMatchObject({ settlement: 'repeated' });
    expect(end({ step: 1 })).toMatchObject({ replace: true });
    expect(end({ step: 0, restarts: 1 })).toMatchObject({ replace: true });
    expect(end({ step: 2, mayHavePromised: true })).toMatchObject({ replace: true });
    expect(end({ step: 2 })).toMatchObject({ settlement: 'repeated' });
  });

  it('whose result another copy has promised never takes that back, only a copy that may have promised it', () => {
    const promised = standing({ ...markerOf('completed'), from_step: 0 }, { isStored: false });
    const innocent = { ...failure('reject'), hasNotPromised: true };
    const end = (hop: object, delivery = {}) =>
      decide(contextOf({ hop: { attempt: 22, ...hop }, delivery }), innocent, POLICY, promised);
    expect(end({ hasNotPromised: true })).toMatchObject({
      settlement: 'repeated',
      messages: [{ purpose: 'event', routingKey: 'task.completed' }],
    });
    for (const guilty of [
      end({}),
      end({ hasNotPromised: true, wasGivenBack: true }),
      end({ hasNotPromised: true }, { redelivered: true }),
      decide(contextOf({ hop: { attempt: 22, hasNotPromised: true } }), failure('reject'), POLICY, promised),
    ])
      expect(guilty).toMatchObject({ replace: true });
  });

  it('tells its next try whether it can have promised a result', () => {
    const innocent = { ...failure('retry'), hasNotPromised: true };
    const told = (hop: object, said = innocent, delivery = {}) =>
      headersOf(decided({ hop, delivery }, said))['darkroom-not-promised'];
    expect(told({})).toBe(true);
    expect(told({ attempt: 1, hasNotPromised: true })).toBe(true);
    expect(told({ attempt: 1 })).toBeUndefined();
    expect(told({}, failure('retry') as typeof innocent)).toBeUndefined();
    expect(told({}, innocent, { redelivered: true })).toBeUndefined();
    expect(told({ wasGivenBack: true })).toBeUndefined();
  });

  it('because the storage never takes its promised result takes the promise back at once', () => {
    const promised = standing(markerOf('completed'), { isStored: false });
    const refused = { ...failure('reject'), isResultRefused: true };
    expect(decide(contextOf(), refused, POLICY, promised)).toMatchObject({
      replace: true,
      mark: { outcome: 'failed' },
    });
  });

  it('marks the generation in which it failed', () => {
    expect(markFirst({ hop: { generation: 4 } }, failure('reject')).generation).toBe(4);
  });
});

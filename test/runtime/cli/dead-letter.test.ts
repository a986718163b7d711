/** What a dead letter says, who is believed, and which are chosen. */
import { describe, expect, it } from 'vitest';
import { type DeadLetter, parseDeadLetter } from '../../../runtime/cli/dead-letter.ts';
import { selectionMatcher } from '../../../runtime/cli/dead-letter-selection.ts';
import { FAILED_AT, messageWith, OF_A_WORKER } from '../../support/letters.ts';

const NOW_MS = Date.parse('2026-01-01T02:00:00.000Z');
describe('a dead letter', () => {
  it('says what the worker said that set it aside', () => {
    const letter = parseDeadLetter(messageWith(OF_A_WORKER), 'darkroom');

    expect(letter).toMatchObject({
      id: 'cat',
      filter: 'blur',
      failure_type: 'storage',
      reason: 'The disk is full.',
      step: 1,
      attempts: 3,
      generation: 2,
      failed_at: FAILED_AT,
      worker: 'pod-1',
      bytes: 2,
      replayed_from: null,
    });
  });

  it.each([
    ['delivery_limit', 'poison', /more often than the queue’s delivery limit allows/],
    ['expired', 'expired', /It expired/],
    ['maxlen', 'maxlen', /maximum length/],
    ['rejected', 'rejected', /other than Darkroom’s rejected it/],
    ['something-new', 'something-new', /The broker set it aside: something-new/],
  ])('that the broker set aside (%s) gets its reason from the broker', (reason, type, words) => {
    const death = { reason, queue: 'darkroom.blur', time: { value: Date.parse(FAILED_AT) / 1_000 } };

    const letter = parseDeadLetter(messageWith({ 'x-death': [death] }, { messageId: 'm' }), 'darkroom');

    expect(letter).toMatchObject({ id: 'm', filter: 'blur', failure_type: type, failed_at: FAILED_AT });
    expect(letter.reason).toMatch(words);
  });

  it('that no queue took is unroutable', () => {
    const letter = parseDeadLetter(messageWith({}, {}, 'blurr'), 'darkroom');

    expect(letter).toMatchObject({
      id: '(none)',
      filter: 'blurr',
      failure_type: 'unroutable',
      failed_at: null,
    });
  });
});

describe('a selection', () => {
  const letter: DeadLetter = parseDeadLetter(messageWith(OF_A_WORKER), 'darkroom');

  it.each([
    [{}, true],
    [{ id: 'cat' }, true],
    [{ id: 'dog' }, false],
    [{ filter: 'blur', reason: 'storage' }, true],
    [{ filter: 'blur', reason: 'DISK' }, true],
    [{ filter: 'blur', reason: 'network' }, false],
    [{ filter: 'flip' }, false],
    [{ olderThan: '1h' }, true],
    [{ olderThan: '3h' }, false],
    [{ newerThan: '3h' }, true],
    [{ newerThan: '1h' }, false],
  ])('%j matches: %s', (selection, matches) => {
    expect(selectionMatcher(selection, NOW_MS)(letter)).toBe(matches);
  });

  it('by age leaves out a letter whose age is not known', () => {
    const ageless = { ...letter, failed_at: null };

    expect(selectionMatcher({ olderThan: '1s' }, NOW_MS)(ageless)).toBe(false);
    expect(selectionMatcher({ newerThan: '1d' }, NOW_MS)(ageless)).toBe(false);
  });

  it('explains a duration that is none', () => {
    expect(() => selectionMatcher({ olderThan: 'yesterday' })).toThrow(/--older-than: expected a duration/);
  });
});

/** What becomes of a message that is no task. */
import { describe, expect, it } from 'vitest';
import { Rejection } from '../../../runtime/errors.ts';
import { decideUnforeseen, decideUnreadable } from '../../../runtime/worker/decide-unreadable.ts';
import type { Incoming } from '../../../runtime/worker/delivery-context.ts';
import { HANDLER, headersOf, purposes } from './decisions.ts';

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
    expect(JSON.parse(decision.messages[1]!.body.toString())).toMatchObject({
      subject: id,
      data: { no_task: true },
    });
  });

  it('or could not be settled is kept without its headers, or else rejected', () => {
    const decision = decideUnforeseen(incoming({ headers: { odd: 1 } }), new Error('too odd'), HANDLER);
    expect(decision).toMatchObject({ otherwise: 'reject', settlement: 'set-aside' });
    expect(headersOf(decision)).not.toHaveProperty('odd');
    expect(headersOf(decision)['darkroom-failure-reason']).toBe('Darkroom itself failed: too odd');
  });
});

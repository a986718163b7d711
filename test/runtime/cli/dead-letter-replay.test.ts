/** What a replay takes from a dead letter, by who wrote it and by what the storage says of its task. */
import { describe, expect, it } from 'vitest';
import { sendReplay } from '../../../runtime/cli/dead-letter-replay.ts';
import { writeSubmissionRecord } from '../../../runtime/cli/submission-record.ts';
import { endOf, standingOf } from '../../../runtime/cli/task-standing.ts';
import {
  FAILED_AT,
  FINGERPRINT,
  type LetterParts,
  markEnded,
  OF_A_WORKER,
  openReplaySite,
  TASK,
} from '../../support/letters.ts';

const TRUE_LETTER = { ...OF_A_WORKER, 'darkroom-fingerprint': FINGERPRINT };
const DEATH = [{ reason: 'delivery_limit', queue: 'darkroom.flip', count: 1 }];

describe('a letter of a worker', () => {
  it('is replayed to the step it failed in, as a new generation, without the traces of its death', async () => {
    await using site = await openReplaySite();
    await markEnded(site.storage, 2);
    const headers = { ...TRUE_LETTER, 'x-delivery-count': 4, traceparent: '00-1-2-01' };

    const { message, generation, needsTrust } = await site.plan({
      headers,
      properties: { userId: 'worker', expiration: '1000', priority: 7, deliveryMode: 2 },
    });

    expect({ generation, needsTrust }).toEqual({ generation: 3, needsTrust: true });
    expect(message).toMatchObject({ exchange: '', routingKey: 'darkroom.blur', mandatory: true });
    expect(message.properties).toMatchObject({ persistent: true, priority: 7 });
    expect(message.properties).not.toHaveProperty('expiration');
    expect(message.properties).not.toHaveProperty('userId');
    expect(JSON.parse(JSON.stringify(message.properties?.headers))).toEqual({
      'darkroom-id': 'cat',
      'darkroom-fingerprint': FINGERPRINT,
      'darkroom-step': 1,
      'darkroom-attempt': 0,
      'darkroom-generation': 3,
      'darkroom-published-ms': expect.any(Number),
      'darkroom-recorded': true,
      'darkroom-replayed-from': `${FAILED_AT}: storage`,
      traceparent: '00-1-2-01',
    });
  });

  it('starts without what the tries before have counted', async () => {
    await using site = await openReplaySite();
    const counted = {
      'darkroom-restarts': 3,
      'darkroom-seen-ms': 1,
      'darkroom-first-failed-ms': 2,
      'darkroom-given-back': true,
    };

    const { message } = await site.plan({ headers: { ...TRUE_LETTER, ...counted } });

    for (const name of Object.keys(counted)) expect(message.properties?.headers?.[name]).toBeUndefined();
  });

  it('closes the gap that a swept marker leaves, so that the replay can be found', async () => {
    await using site = await openReplaySite();

    const replay = await site.plan({ headers: { ...TRUE_LETTER, 'darkroom-generation': undefined } });
    await sendReplay(replay, { publish: async () => {} } as never, site.storage);

    expect(replay.generation).toBe(1);
    expect((await endOf(site.storage, 'cat', 0))?.marker).toMatchObject({
      outcome: 'failed',
      fingerprint: FINGERPRINT,
      data: { failure_type: 'storage', failure_reason: 'The disk is full.' },
    });
    expect(await standingOf(site.storage, 'cat')).toMatchObject({ inFlight: 1 });
  });

  it('whose message is refused leaves the task where it was', async () => {
    await using site = await openReplaySite();
    const refusing = { publish: async () => Promise.reject(new Error('refused')) } as never;
    const replay = await site.plan({ headers: TRUE_LETTER });

    await expect(sendReplay(replay, refusing, site.storage)).rejects.toThrow('refused');

    expect((await standingOf(site.storage, 'cat')).inFlight).toBeUndefined();
  });

  it.each([
    ['was completed since', { outcome: 'completed' as const }],
    ['was cancelled since', { outcome: 'cancelled' as const, fingerprint: '' }],
    ['belongs to another task', { fingerprint: 'another' }],
  ])('of a generation that %s raises none', async (_, change) => {
    await using site = await openReplaySite();
    await markEnded(site.storage, 2, change);

    expect((await site.plan({ headers: TRUE_LETTER })).generation).toBe(2);
  });

  it('of an id that was taken runs under no other generation of the other task', async () => {
    await using site = await openReplaySite();
    const headers = { ...TRUE_LETTER, 'darkroom-failure-type': 'task-id-reused' };

    expect((await site.plan({ headers })).generation).toBe(2);
  });
});

describe('a letter that the broker made', () => {
  it('of a worker’s message goes on where it was', async () => {
    await using site = await openReplaySite();
    const headers = { 'darkroom-id': 'cat', 'darkroom-step': 1, 'x-death': DEATH };

    const { message, generation } = await site.plan({ headers });

    expect(generation).toBe(0);
    expect(message).toMatchObject({
      routingKey: 'darkroom.blur',
      properties: { headers: { 'darkroom-step': 1 } },
    });
  });

  it.each([
    ['set aside', { exchange: 'darkroom.dead', headers: { 'x-death': DEATH } }],
    ['kept because no queue took it', { exchange: 'darkroom', headers: {}, routingKey: 'flip' }],
  ])('of a publisher’s message, %s, is a new task', async (_, parts) => {
    await using site = await openReplaySite();

    const { message, generation, needsTrust } = await site.plan({ ...parts, properties: {} });

    expect({ generation, needsTrust }).toEqual({ generation: 0, needsTrust: false });
    expect(message.routingKey).toBe('darkroom.flip');
    expect(Object.keys(message.properties?.headers ?? {}).sort()).toEqual([
      'darkroom-published-ms',
      'darkroom-recorded',
      'darkroom-replayed-from',
    ]);
  });

  it('is the first generation that has not failed, when its task has', async () => {
    await using site = await openReplaySite();
    await markEnded(site.storage, 0);
    await markEnded(site.storage, 1);

    const { generation, needsTrust } = await site.plan({ properties: {}, headers: {}, exchange: 'darkroom' });

    expect({ generation, needsTrust }).toEqual({ generation: 2, needsTrust: true });
  });

  it.each([
    ['another task', { fingerprint: 'another' }],
    ['a completed task', { outcome: 'completed' as const }],
    ['a cancelled task', { outcome: 'cancelled' as const, fingerprint: '' }],
  ])('under the id of %s revives nothing', async (_, change) => {
    await using site = await openReplaySite();
    await markEnded(site.storage, 0, change);

    const { generation } = await site.plan({ properties: {}, headers: {}, exchange: 'darkroom' });

    expect(generation).toBe(0);
  });
});

describe('what nobody of ours wrote', () => {
  const forged = {
    ...TRUE_LETTER,
    'darkroom-step': 1,
    'darkroom-generation': 7,
    'darkroom-inline': true,
    'darkroom-history': '[]',
    'darkroom-submitted-ms': 5,
    'darkroom-anything': 1,
    CC: ['darkroom.dead', 'somebody-elses'],
    BCC: ['somebody-elses'],
    'x-death': DEATH,
    tenant: 'a',
  };

  it.each([{}, { userId: 'publisher' }, { userId: '' }, { userId: 7 }, { userId: ['worker'] }])(
    'with the properties %j counts for nothing; what is not ours is kept',
    async (properties) => {
      await using site = await openReplaySite();

      const { message, generation } = await site.plan({ headers: forged, properties });

      expect(generation).toBe(0);
      expect(message.routingKey).toBe('darkroom.flip');
      expect(Object.keys(message.properties?.headers ?? {}).sort()).toEqual([
        'darkroom-published-ms',
        'darkroom-recorded',
        'darkroom-replayed-from',
        'tenant',
      ]);
    },
  );
});

describe('a letter that cannot be replayed says why', () => {
  it.each([
    ['a filter that is gone', { body: { ...TASK, steps: [{ filter: 'gone' }] } }, /no filter "gone"/],
    ['no JSON', { body: Buffer.from('no task') }, /no task .* is not JSON/],
    ['nothing at all', { body: Buffer.alloc(0) }, /no task/],
    ['a list', { body: [] }, /a list/],
    ['a task without steps', { body: { input: 'a', steps: [] } }, /at least one step/],
    ['nested thousands deep', { body: Buffer.from(`${'['.repeat(5_000)}${']'.repeat(5_000)}`) }, /list|deep/],
    [
      'an image without its steps',
      { body: Buffer.alloc(9), properties: { contentType: 'image/png' } },
      /steps/,
    ],
    [
      'an image that came inside an earlier message, told by whom nobody knows',
      { body: { id: 'cat', steps: TASK.steps }, properties: { userId: 'other-worker' } },
      /TRUSTED_USERS names "other-worker"/,
    ],
  ])('%s', async (_, parts: LetterParts, words) => {
    await using site = await openReplaySite();
    await expect(site.plan({ headers: { ...TRUE_LETTER, 'darkroom-step': 0 }, ...parts })).rejects.toThrow(
      words,
    );
  });
});

it('the record of a replay outlives a second submission of the task', async () => {
  await using site = await openReplaySite();
  await writeSubmissionRecord(site.storage, 'cat', [{ filter: 'flip', params: {} }], 1);
  await writeSubmissionRecord(site.storage, 'cat', [{ filter: 'flip', params: {} }]);

  expect(await standingOf(site.storage, 'cat')).toMatchObject({ inFlight: 1 });
});

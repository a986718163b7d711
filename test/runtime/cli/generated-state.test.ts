/** Generated letters, markers and records: whatever they hold, reading them ends in words. */
import { createHash } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { GotMessage } from '../../../runtime/cli/browse-queue.ts';
import { parseDeadLetter, taskOf } from '../../../runtime/cli/dead-letter.ts';
import { planReplay } from '../../../runtime/cli/dead-letter-replay.ts';
import { selectionMatcher } from '../../../runtime/cli/dead-letter-selection.ts';
import { writeSubmissionRecord } from '../../../runtime/cli/submission-record.ts';
import { resultOf } from '../../../runtime/cli/task-result.ts';
import { standingOf } from '../../../runtime/cli/task-standing.ts';
import { statusOf } from '../../../runtime/cli/task-status.ts';
import { Rejection } from '../../../runtime/errors.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import type { Storage } from '../../../runtime/storage/storage.ts';
import { HEADERS } from '../../../runtime/task/hop.ts';
import { intermediatesFolder, markerKey } from '../../../runtime/task/task-marker.ts';
import { wildHeaders } from '../../chaos/support/wild-headers.ts';
import { startInstallation } from '../../support/installation.ts';
import { markEnded, OF_A_WORKER, TASK } from '../../support/letters.ts';
import { until } from '../../support/until.ts';

const RUNS = 10_000;
const SLOW = { timeout: 120_000 };
const NAMES = [...Object.values(HEADERS), ...Object.keys(OF_A_WORKER), 'x-death', 'CC', '__proto__'];

const thing = fc.anything({ maxDepth: 2, maxKeys: 3 });
const anyJson = fc.json({ maxDepth: 3 });
const good = fc.constant(JSON.stringify(TASK));
const nearTask = fc
  .record(
    {
      id: fc.oneof(fc.string(), thing),
      input: fc.oneof(fc.string(), thing),
      steps: fc.oneof(fc.array(fc.record({ filter: fc.constantFrom('flip', 'blur', 'gone', '') })), thing),
      output: thing,
      timeout: thing,
    },
    { requiredKeys: [] },
  )
  .map(
    (task) => JSON.stringify(task, (_, value) => (typeof value === 'bigint' ? Number(value) : value)) ?? '',
  );
const body = fc
  .oneof(good, nearTask, anyJson, fc.string({ unit: 'binary' }), fc.uint8Array().map(String))
  .map((text) => Buffer.from(text));
const headers = fc.dictionary(fc.oneof(fc.constantFrom(...NAMES), fc.string()), thing, {
  maxKeys: 12,
});
const shortText = fc.option(fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), fc.constant('worker')), {
  nil: undefined,
});
const letter = fc
  .record({
    body,
    headers: fc.oneof(
      headers,
      headers.map((more) => ({ ...OF_A_WORKER, ...more })),
      fc.constant(undefined),
    ),
    contentType: fc.oneof(shortText, fc.constant('image/png'), fc.constant('application/json')),
    messageId: shortText,
    userId: fc.oneof(shortText, fc.constant('worker')),
    timestamp: fc.option(fc.nat(), { nil: undefined }),
    exchange: fc.constantFrom('darkroom', 'darkroom.dead', ''),
    routingKey: fc.string({ unit: 'binary', maxLength: 60 }),
  })
  .map(
    ({ body: bytes, exchange, routingKey, ...properties }) =>
      ({ body: bytes, properties, fields: { exchange, routingKey } }) as unknown as GotMessage,
  );

it(`${RUNS} letters are read, chosen and planned without a fault`, SLOW, async () => {
  const storage = storageOf(new Map());
  const options = { prefix: 'darkroom', storage, functionsDir: '/nowhere', knownFilters: ['flip', 'blur'] };
  const matches = selectionMatcher({ filter: 'flip', reason: 'x', olderThan: '1h' });
  let planned = 0;
  await fc.assert(
    fc.asyncProperty(letter, async (message) => {
      const read = parseDeadLetter(message, 'darkroom', (user) => user === 'worker');
      for (const text of [read.id, read.filter, read.failure_type, read.reason])
        expect(typeof text).toBe('string');
      for (const number of [read.step, read.attempts, read.generation, read.bytes])
        expect(Number.isSafeInteger(number)).toBe(true);
      expect(JSON.stringify(JSON.parse(JSON.stringify(read)))).toBe(JSON.stringify(read));
      matches(read);
      try {
        taskOf(message, read);
      } catch (error) {
        expect(error).toBeInstanceOf(Rejection);
      }
      const plan = await planReplay(read, message, options).catch((error: unknown) => error);
      if (plan instanceof Error) expect(plan.message).toMatch(/^(it is no task|there is no filter)/);
      else planned++;
      // What nobody of ours wrote says nothing of where it stands.
      if (!(plan instanceof Error) && read.user !== 'worker')
        expect(plan).toMatchObject({ generation: 0, needsTrust: false });
    }),
    { numRuns: RUNS },
  );
  expect(planned).toBeGreaterThan(RUNS / 100);
});

/** One that passes for a marker as far as its checksum goes. */
const signed = anyJson.map((json) => {
  const text = json.startsWith('{') && json.length > 2 ? json : '{"a":1}';
  const checksum = createHash('sha256').update(text).digest('hex');
  return `${text.slice(0, -1)},"checksum":"${checksum}"}\n`;
});
const nearMarker = fc
  .record({
    task_id: fc.constant('cat'),
    generation: fc.constantFrom(0, 0, 1, 1, -1, 1.5, null),
    fingerprint: fc.option(fc.string(), { freq: 9 }),
    outcome: fc.constantFrom('completed', 'failed', 'cancelled', 'other'),
    time: fc.oneof(fc.string(), fc.constant('2026-01-01T00:00:00.000Z')),
    data: fc.oneof(
      fc.constant(null),
      fc.dictionary(fc.constantFrom('output', 'step', '__proto__'), fc.jsonValue()),
    ),
  })
  .map((marker) => {
    const text = JSON.stringify(marker);
    return `${text.slice(0, -1)},"checksum":"${createHash('sha256').update(text).digest('hex')}"}\n`;
  });
const record = fc
  .record({
    time: fc.oneof(fc.string(), fc.constant('2026-01-01T00:00:00.000Z')),
    generation: fc.oneof(fc.nat(3), fc.jsonValue()),
    steps: fc.oneof(fc.jsonValue(), fc.array(fc.record({ filter: fc.string(), params: fc.jsonValue() }))),
  })
  .map((fields) => JSON.stringify(fields));
const stored = fc
  .oneof(signed, nearMarker, record, anyJson, fc.string({ unit: 'binary' }), fc.constant(''))
  .chain((text) =>
    fc.oneof(
      fc.constant(text),
      fc.constant(text),
      fc.nat(text.length).map((cut) => text.slice(0, cut)),
    ),
  )
  .map((text) => Buffer.from(text));

it(`${RUNS} markers and records are read without a fault`, SLOW, async () => {
  let ends = 0;
  await fc.assert(
    fc.asyncProperty(stored, stored, stored, async (marker, next, submitted) => {
      const objects = new Map([
        [markerKey('cat', 0), marker],
        [markerKey('cat', 1), next],
        [`${intermediatesFolder('cat')}/submitted.json`, submitted],
      ]);
      const { end, record: read, inFlight } = await standingOf(storageOf(objects), 'cat');
      expect(end?.damage ?? end?.marker?.outcome).toEqual(expect.any(String));
      if (end?.marker !== undefined) {
        ends++;
        resultOf(end.marker);
      }
      if (inFlight !== undefined) expect(read).toMatchObject({ generation: inFlight });
    }),
    { numRuns: RUNS },
  );
  expect(ends).toBeGreaterThan(RUNS / 500);
});

/** What is in it can be read; nothing can be written. */
function storageOf(objects: Map<string, Buffer>): Storage {
  return {
    find: async (key: string) => objects.get(key),
    stat: async (key: string) => {
      const bytes = objects.get(key);
      return bytes && { bytes: bytes.length, modified: new Date(0) };
    },
    async *list() {},
  } as unknown as Storage;
}

it('some hundred letters go through every command on a real queue', SLOW, async () => {
  await using at = await startInstallation();
  const count = 300;
  const made = fc.sample(fc.tuple(wildHeaders(), body), { numRuns: count, seed: 8 });
  const file = join(at.home, 'letters');
  let sent = 0;
  for (const [make, bytes] of made) {
    const { CC: _, BCC: __, ...given } = make(`-${sent}`);
    await at.broker
      .publish({ exchange: '', routingKey: at.names.dead, body: bytes, properties: { headers: given } })
      .then(() => sent++);
  }
  await until(async () => (await at.depth(at.names.dead)) === sent, 'the letters');

  const codes: unknown[] = [];
  for (const args of [['list'], ['export', file], ['replay', '--dry-run'], ['replay'], ['purge', '--yes']])
    codes.push([args[0], (await at.darkroom('dead', ...args, '--limit', '1000')).code]);

  expect(sent).toBe(count);
  expect(codes).toEqual([
    ['list', 0],
    ['export', 0],
    ['replay', 1],
    ['replay', 1],
    ['purge', 0],
  ]);
  expect(await at.depth(at.names.dead)).toBe(0);
});

it('a hundred markers and records are told by status', SLOW, async () => {
  await using at = await startInstallation();
  const storage = await openStorage(at.env.STORAGE_URL);
  const file = join(at.folder, markerKey('cat', 0));
  await markEnded(storage, 0);
  const steps = TASK.steps.map(({ filter, params = {} }) => ({ filter, params }));
  await writeSubmissionRecord(storage, 'cat', steps);
  const samples = fc.sample(fc.tuple(stored, stored), { numRuns: 100, seed: 8 });
  for (const [marker, submitted] of samples) {
    await writeFile(file, marker);
    await writeFile(join(at.folder, intermediatesFolder('cat'), 'submitted.json'), submitted);

    const { state, explanation } = await statusOf('cat', at.config);

    expect([state, explanation]).toEqual([expect.any(String), expect.any(String)]);
  }
  await rm(file);
});

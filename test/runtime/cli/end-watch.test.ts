/** The wait for a task's end: a marker comes before its result, either may be damaged, and nothing waits for ever. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { EndWatch } from '../../../runtime/cli/end-watch.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import { parseTask } from '../../../runtime/task/task.ts';
import { markerKey } from '../../../runtime/task/task-marker.ts';
import { markEnded, TASK } from '../../support/letters.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const DATA = { output: { key: 'out/cat.png', format: 'png', bytes: 3, sha256: 'x' } };
const MINUTE_MS = 60_000;

afterEach(() => {
  vi.restoreAllMocks();
});

async function openWatch() {
  const folder = await temporaryFolder();
  const storage = await openStorage(`file://${folder.path}`);
  const message = { body: Buffer.from(JSON.stringify(TASK)), properties: {}, headers: {} };
  const { task } = parseTask(message, 'flip');
  const said: string[] = [];
  const submitted = { id: 'cat', photo: 'cat.png', input: 'cat.png', bytes: 1, task };
  return {
    storage,
    said,
    marker: join(folder.path, markerKey('cat', 0)),
    watch: new EndWatch(storage, submitted, '/nowhere', (reason) => said.push(reason)),
    [Symbol.asyncDispose]: folder[Symbol.asyncDispose],
  };
}

function later(ms: number): void {
  const nowMs = performance.now();
  vi.spyOn(performance, 'now').mockReturnValue(nowMs + ms);
}

it('waits for the result that a marker promises, and gives up after a while', async () => {
  await using site = await openWatch();
  expect(await site.watch.look()).toBeUndefined();
  await markEnded(site.storage, 0, { outcome: 'completed', time: new Date().toISOString(), data: DATA });

  expect(await site.watch.look()).toBeUndefined();
  expect(site.said).toEqual(['its result is about to be stored']);
  later(MINUTE_MS);
  expect(await site.watch.look()).toMatchObject({ outcome: 'completed', data: DATA });
});

it('does not wait for a result that has long been taken away', async () => {
  await using site = await openWatch();
  await markEnded(site.storage, 0, { outcome: 'completed', data: DATA });

  expect(await site.watch.look()).toMatchObject({ outcome: 'completed' });
});

it.each([
  ['names a key that cannot be one', { output: { ...DATA.output, key: '../../etc/passwd' } }],
  ['says nothing of its result', {}],
  ['says nonsense of its result', { output: [7] }],
])('does not trip over a marker that %s', async (_, data) => {
  await using site = await openWatch();
  await markEnded(site.storage, 0, { outcome: 'completed', data });

  expect(await site.watch.look()).toMatchObject({ outcome: 'completed' });
});

it('takes no other task’s end for its own', async () => {
  await using site = await openWatch();
  await markEnded(site.storage, 0, { outcome: 'completed', data: DATA, fingerprint: 'other' });

  expect(await site.watch.look()).toMatchObject({
    outcome: 'failed',
    data: { failure_type: 'task-id-reused' },
  });
});

describe('a damaged marker', () => {
  it('that was there before the task is no end of it, until a reply comes', async () => {
    await using site = await openWatch();
    await markEnded(site.storage, 0);
    await writeFile(site.marker, '');
    expect(await site.watch.look()).toBeUndefined();
    later(60 * MINUTE_MS);
    expect(await site.watch.look()).toBeUndefined();
    expect(site.said.at(-1)).toMatch(/The work is done again when a worker takes the task/);

    site.watch.tell();
    await site.watch.look();
    later(MINUTE_MS);
    expect(await site.watch.look()).toMatchObject({
      outcome: 'failed',
      data: { failure_type: 'storage', failure_reason: expect.stringMatching(/cannot be said/) },
    });
  });

  it('that a worker writes anew ends the wait as that says', async () => {
    await using site = await openWatch();
    await markEnded(site.storage, 0);
    await writeFile(site.marker, 'x');
    await site.watch.look();
    await rm(site.marker);
    await markEnded(site.storage, 0);

    expect(await site.watch.look()).toMatchObject({ outcome: 'failed', data: { failure_reason: 'full' } });
  });

  it('that was damaged meanwhile ends the wait after a while, without a reply too', async () => {
    await using site = await openWatch();
    await site.watch.look();
    await markEnded(site.storage, 0);
    await writeFile(site.marker, Buffer.alloc(2_000_000));

    expect(await site.watch.look()).toBeUndefined();
    later(MINUTE_MS);
    expect(await site.watch.look()).toMatchObject({ outcome: 'failed', data: { failure_type: 'storage' } });
  });
});

/** The same journey with an S3 bucket for storage, and its faults. */
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { openStorage } from '../../../runtime/storage/open.ts';
import { startInstallation } from '../../support/installation.ts';
import { type S3ServerOptions, startS3Server } from '../../support/s3-server.ts';
import { until } from '../../support/until.ts';

const STEPS = [
  { filter: 'resize', params: { width: 40 } },
  { filter: 'blur', params: { radius: 1 } },
];

async function bucket(options: S3ServerOptions = {}) {
  const server = await startS3Server(options);
  const storage = await openStorage(server.url, { credentials: server.credentials });
  await storage.write(
    'cat.png',
    await sharp({ create: { width: 80, height: 60, channels: 3, background: 'navy' } })
      .png()
      .toBuffer(),
  );
  return { server, storage };
}

describe('with an S3 bucket', () => {
  it('a task travels through its steps and leaves only its result', async () => {
    const { server, storage } = await bucket();
    await using _ = server;
    await using at = await startInstallation({ env: { STORAGE_URL: server.url, ...server.env } });
    await at.worker(['resize', 'blur']);

    await at.publish({ id: 's3', input: 'cat.png', steps: STEPS });

    expect((await at.ended('s3')).data).toMatchObject({
      outcome: 'completed',
      output: { key: 'out/s3.png', width: 40, height: 30 },
    });
    expect(await sharp(await storage.read('out/s3.png')).metadata()).toMatchObject({ width: 40 });
    const left = await until(async () => {
      const keys: string[] = [];
      for await (const { key } of storage.list('.darkroom/tasks')) keys.push(key);
      return keys.length === 0;
    }, 'the intermediates to go');
    expect(left).toBe(true);
  });

  it('that answers 500 for a while, a task is tried again until it answers', async () => {
    const { server } = await bucket();
    await using _ = server;
    await using at = await startInstallation({
      env: { STORAGE_URL: server.url, ...server.env, RETRY_DELAYS: '1s,1500ms,2s,2500ms,3s,3500ms' },
    });
    await at.worker('resize');
    server.fault({ kind: 'status', status: 500, times: 12 });

    await at.publish({ id: 'stormy', input: 'cat.png', steps: STEPS.slice(0, 1) });

    const retry = await until(() => at.events.find(({ key }) => key === 'task.retrying'), 'a retry');
    expect(retry.data).toMatchObject({ failure_type: 'storage' });
    expect((await at.ended('stormy', 60_000)).data).toMatchObject({ outcome: 'completed' });
  });

  it.each(['ignored', 'racy', 'unknown'] as const)(
    'to which conditional writes are %s, the worker says once that the last write wins',
    async (conditionalWrites) => {
      const { server } = await bucket({ conditionalWrites });
      await using _ = server;
      await using at = await startInstallation({
        env: { STORAGE_URL: server.url, ...server.env, CHILD_MAX_TASKS: '1' },
      });
      const worker = await at.worker(['resize', 'blur']);
      const told = () =>
        worker.logs.filter(({ msg }) => /of two writers.*the last one wins/.test(String(msg)));
      await until(() => told().length > 0, 'the warning');

      for (const id of ['one', 'two']) await at.publish({ id, input: 'cat.png', steps: STEPS });
      for (const id of ['one', 'two'])
        expect((await at.ended(id)).data).toMatchObject({ outcome: 'completed' });

      expect(told()).toMatchObject([{ level: 'warn', msg: expect.stringContaining(server.bucket) }]);
    },
  );

  it('that keeps the first write, the worker has nothing to say of, and may require it', async () => {
    const { server } = await bucket();
    await using _ = server;
    await using at = await startInstallation({
      env: { STORAGE_URL: server.url, ...server.env, STORAGE_REQUIRE_CONDITIONAL_WRITES: 'true' },
    });
    const worker = await at.worker('resize');

    await at.publish({ id: 'kept', input: 'cat.png', steps: STEPS.slice(0, 1) });

    expect((await at.ended('kept')).data).toMatchObject({ outcome: 'completed' });
    expect(worker.complaints).toEqual([]);
  });

  it.each(['ignored', 'racy', 'unknown'] as const)(
    'to which conditional writes are %s, a worker that requires them takes no task and exits with 2',
    async (conditionalWrites) => {
      const { server } = await bucket({ conditionalWrites });
      await using _ = server;
      await using at = await startInstallation({
        env: { STORAGE_URL: server.url, ...server.env, STORAGE_REQUIRE_CONDITIONAL_WRITES: 'true' },
      });
      await at.publish({ id: 'safe', input: 'cat.png', steps: STEPS.slice(0, 1) });

      const { code, stderr } = await at.darkroom('worker', 'resize');

      expect(code).toBe(2);
      expect(stderr).toMatch(/The worker cannot work: .*last one wins.*STORAGE_REQUIRE_CONDITIONAL_WRITES/);
      expect(server.requests.filter((request) => request.includes('/out/'))).toEqual([]);
    },
  );

  it('that does not answer, a worker that requires its promise waits for, and then works', async () => {
    const { server } = await bucket();
    await using _ = server;
    await using at = await startInstallation({
      env: { STORAGE_URL: server.url, ...server.env, STORAGE_REQUIRE_CONDITIONAL_WRITES: 'true' },
    });
    server.fault({ kind: 'status', status: 503, times: 12 });
    const worker = await at.worker('resize');

    await at.publish({ id: 'late', input: 'cat.png', steps: STEPS.slice(0, 1) });

    expect((await at.ended('late')).data).toMatchObject({ outcome: 'completed', attempts: 1 });
    expect(JSON.stringify(worker.complaints)).toContain('It is tried again');
  });
});

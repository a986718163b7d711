/** What a task's memory means for it: a verdict when it alone needs too much, and nothing when others left it too little. */
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { startDotInstallation } from '../../support/dot-installation.ts';
import type { Installation } from '../../support/installation.ts';
import { memoryGroup } from '../../support/memory-group.ts';

const MIB = 1_048_576;
const probe = memoryGroup(64 * MIB);
await probe?.[Symbol.asyncDispose]();

const installation = (env: NodeJS.ProcessEnv) =>
  startDotInstallation({ RETRY_DELAYS: '100ms,100ms', ...env });

async function outcome(at: Installation, id: string, filter: string, params: object = {}) {
  await at.publish({ id, input: 'dot.png', steps: [{ filter, params }] });
  return (await at.ended(id)).data;
}

describe.runIf(process.platform === 'linux')(
  'a task that needs more memory than its process may have',
  () => {
    it('fails at its first try in a process that has done nothing else', async () => {
      await using at = await installation({ CHILD_MAX_MEMORY: '300MiB' });
      await at.worker('balloon');

      expect(await outcome(at, 'large', 'balloon')).toMatchObject({
        outcome: 'failed',
        failure_type: 'memory',
        attempts: 1,
        failure_reason: expect.stringContaining('300 MiB'),
      });
      expect(at.events.some(({ key }) => key === 'task.retrying')).toBe(false);
    });

    it('fails at once, too, in a process that had other tasks before: a new one tells', async () => {
      await using at = await installation({ CHILD_MAX_MEMORY: '300MiB' });
      const worker = await at.worker('hoard');
      const before = await worker.childPid();
      expect(await outcome(at, 'small', 'hoard')).toMatchObject({ outcome: 'completed' });
      expect(await worker.childPid()).toBe(before);

      expect(await outcome(at, 'large', 'hoard', { use: 400, ms: 5_000 })).toMatchObject({
        failure_type: 'memory',
        attempts: 1,
      });
      expect(await outcome(at, 'small again', 'hoard')).toMatchObject({ outcome: 'completed' });
    });

    it('completes when only what earlier tasks left was too much', async () => {
      await using at = await installation({ CHILD_MAX_MEMORY: '400MiB' });
      const worker = await at.worker('hoard');
      const before = await worker.childPid();
      await outcome(at, 'hoarder', 'hoard', { keep: 200 });
      expect(await worker.childPid()).toBe(before);

      const data = await outcome(at, 'innocent', 'hoard', { use: 180, ms: 800 });

      expect(data).toMatchObject({ outcome: 'completed', attempts: 1 });
      expect(await worker.childPid()).not.toBe(before);
      expect(at.events.some(({ key }) => key === 'task.retrying')).toBe(false);
    });

    it('is refused at once where its image’s format alone takes too much to decode', async () => {
      await using at = await installation({ CHILD_MAX_MEMORY: '256MiB' });
      await at.worker('noop');
      const background = { r: 200, g: 90, b: 20, alpha: 0.5 };
      const large = sharp({ create: { width: 3_550, height: 3_550, channels: 4, background } });
      await at.put('dot.png', await large.avif({ effort: 0 }).toBuffer());

      expect(await outcome(at, 'avif', 'noop')).toMatchObject({
        failure_type: 'limit-exceeded',
        attempts: 1,
        failure_reason: expect.stringMatching(/3550 × 3550.*of AVIF at most .*256\.0 MiB of memory/),
      });
    });

    it('keeps to its deadline, the new process’s time included', async () => {
      await using at = await installation({
        CHILD_MAX_MEMORY: '400MiB',
        TASK_TIMEOUT: '2s',
        RETRY_DELAYS: '100ms',
      });
      await at.worker('hoard');
      await outcome(at, 'hoarder', 'hoard', { keep: 200 });

      const data = await outcome(at, 'slow', 'hoard', { use: 180, ms: 60_000 });

      expect(data).toMatchObject({ failure_type: 'timeout', attempts: 2 });
    });
  },
);

describe.runIf(probe !== undefined)('a process that the kernel kills because memory ran out', () => {
  it('fails its task for its memory, at once', async () => {
    await using at = await installation({});
    await using group = memoryGroup(150 * MIB)!;
    const worker = await at.worker('balloon');
    for (const pid of [worker.pid, await worker.childPid()]) group.add(pid);

    const data = await outcome(at, 'large', 'balloon');

    expect(data).toMatchObject({
      failure_type: 'memory',
      attempts: 1,
      failure_reason: expect.stringContaining('the kernel stopped it'),
    });
    await worker.stop();
  });

  it('has its task tried again where another filter may have taken the memory', async () => {
    await using at = await installation({ RETRY_DELAYS: '100ms' });
    await using group = memoryGroup(150 * MIB)!;
    const worker = await at.worker(['balloon', 'sleep']);
    for (const pid of [worker.pid, ...(await worker.childPids())]) group.add(pid);

    expect(await outcome(at, 'large', 'balloon')).toMatchObject({ failure_type: 'memory', attempts: 2 });
    await worker.stop();
  });

  it('is told from one that somebody kills', async () => {
    await using at = await installation({ RETRY_DELAYS: '10ms' });
    await using group = memoryGroup(600 * MIB)!;
    const worker = await at.worker('crash');
    for (const pid of [worker.pid, await worker.childPid()]) group.add(pid);

    expect(await outcome(at, 'killed', 'crash')).toMatchObject({ failure_type: 'child-lost' });
    await worker.stop();
  });
});

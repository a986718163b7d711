import { describe, expect, test } from 'vitest';
import { calibrate } from '../calibrate.ts';
import type { QueueVisit, StepStart } from '../load-ledger.ts';
import type { Sample } from '../recorder.ts';

const WORK_MS = 100;
const HANDOVER_MS = 30;

/** One worker works off a queue that was full from the beginning; its slots begin a tenth of a task apart. */
function backlog(count: number, slots = 1): { visits: QueueVisit[]; starts: StepStart[] } {
  const each = Array.from({ length: count }, (_, index) => ({
    step: { task: `t${index}`, step: 0, filter: 'blur' },
    startMs: 1_000 + Math.floor(index / slots) * (WORK_MS + HANDOVER_MS) + ((index % slots) * WORK_MS) / 10,
  }));
  return {
    visits: each.map(({ step, startMs }) => ({ ...step, arrivedMs: 0, waitMs: startMs, workMs: WORK_MS })),
    starts: each.map(({ step, startMs }) => ({ ...step, worker: 'w', atMs: startMs })),
  };
}

function samples(
  levels: { wanted?: number; consumers?: number; ready?: number; reported?: number }[],
): Sample[] {
  return levels.map(({ wanted = 0, consumers = 0, ready = 0, reported = 0 }, second) => {
    const level = { wanted, consumers, ready, reported, running: 0, unacked: 0 };
    const none = { submitted: 0, completed: 0, failed: 0, retries: 0 };
    return { atMs: second * 1_000, total: level, filters: { blur: level }, ...none };
  });
}

describe('what the simulator is told', () => {
  test('is the work and the hand-over to the next task', () => {
    const { visits, starts } = backlog(20);
    const told = calibrate('blur', visits, starts, []);
    expect(told).toMatchObject({ workMeanMs: WORK_MS, handoverMs: HANDOVER_MS });
    expect(told?.service).toEqual({ kind: 'fixed', meanMs: WORK_MS + HANDOVER_MS });
  });

  test('is the hand-over of each slot, where a worker has several', () => {
    const { visits, starts } = backlog(40, 4);
    const told = calibrate('blur', visits, starts, [], 4);
    expect(told).toMatchObject({ workMeanMs: WORK_MS, handoverMs: HANDOVER_MS });
  });

  test('takes no pause for a hand-over in which nothing was waiting', () => {
    const { visits, starts } = backlog(20);
    const idle = visits.map((visit, index) => ({ ...visit, arrivedMs: starts[index]?.atMs ?? 0 }));
    expect(calibrate('blur', idle, starts, [])?.handoverMs).toBe(0);
  });

  test('knows a long tail', () => {
    const { visits } = backlog(20);
    const service = calibrate(
      'blur',
      [
        ...visits,
        { ...(visits[0] as QueueVisit), workMs: 900 },
        { ...(visits[1] as QueueVisit), workMs: 900 },
      ],
      [],
      [],
    )?.service;
    expect(service).toMatchObject({ kind: 'lognormal' });
  });

  test('is nothing where nothing was worked on', () => {
    expect(calibrate('blur', [], [], [])).toBeUndefined();
  });

  test('is how long workers take to start, each count by itself', () => {
    const waiting = { wanted: 3, consumers: 1 };
    const [one, all] = [{ wanted: 1 }, { wanted: 3, consumers: 3 }];
    const course = samples([{}, one, one, waiting, waiting, waiting, all]);
    // 2 s for the first, 3 s for the second and the third.
    expect(calibrate('blur', backlog(3).visits, [], course)?.startMs).toBeCloseTo(8_000 / 3);
  });

  test('is how old the counts are while the queue moves', () => {
    const course = samples(
      Array.from({ length: 21 }, (_, second) => ({
        ready: 100 - second,
        reported: 100 - Math.floor(second / 5) * 5,
      })),
    );
    expect(calibrate('blur', backlog(3).visits, [], course)?.statsIntervalMs).toBe(5_000);
  });

  test('says nothing of starts and counts that were not seen', () => {
    const told = calibrate('blur', backlog(3).visits, [], samples([{ wanted: 2, consumers: 2 }]));
    expect(told).toMatchObject({ startMs: undefined, statsIntervalMs: undefined });
  });
});

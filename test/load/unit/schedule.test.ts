import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { sendOnSchedule } from '../schedule.ts';

const never = new AbortController().signal;

describe('the schedule', () => {
  test('sends everything once, in order', async () => {
    const sent: number[] = [];
    const { count } = await sendOnSchedule({
      arrivalsMs: [0, 1, 1, 5, 9],
      signal: never,
      send: async (index) => void sent.push(index),
    });
    expect(sent).toEqual([0, 1, 2, 3, 4]);
    expect(count).toBe(5);
  });

  test('sends nothing before its time', async () => {
    const startMs = performance.now();
    const atMs: number[] = [];
    await sendOnSchedule({
      arrivalsMs: [0, 40, 80],
      signal: never,
      send: async () => void atMs.push(performance.now() - startMs),
    });
    expect(atMs[1]).toBeGreaterThanOrEqual(39);
    expect(atMs[2]).toBeGreaterThanOrEqual(79);
  });

  test('does not wait for one message to be safe before it sends the next', async () => {
    const gate = Promise.withResolvers<void>();
    let begun = 0;
    await sendOnSchedule({
      arrivalsMs: [0, 0, 0],
      signal: never,
      send() {
        if (++begun === 3) gate.resolve();
        return gate.promise;
      },
    });
    expect(begun).toBe(3);
  });

  test('has no more on their way than allowed', async () => {
    let now = 0;
    let most = 0;
    await sendOnSchedule({
      arrivalsMs: new Array<number>(50).fill(0),
      signal: never,
      maxInFlight: 4,
      async send() {
        most = Math.max(most, ++now);
        await sleep(1);
        now--;
      },
    });
    expect(most).toBe(4);
  });

  test('stops when told, and waits for what is on its way', async () => {
    const stop = new AbortController();
    let safe = 0;
    const { count, latenessMs } = await sendOnSchedule({
      arrivalsMs: [0, 0, 60_000],
      signal: stop.signal,
      async send(index) {
        if (index === 1) stop.abort();
        await sleep(5);
        safe++;
      },
    });
    expect(count).toBe(2);
    expect(safe).toBe(2);
    expect(latenessMs).toHaveLength(2);
  });
});

import { describe, expect, test } from 'vitest';
import { Fleet, type Pod } from '../../../keda/simulator/fleet.ts';
import { stretches } from '../../../keda/simulator/sharing.ts';

const fleetOf = (slots: number, cpuShare = 0, preferIdle = true) =>
  new Fleet({ slots, stretch: stretches({ cpuShare, cpus: 1 }, slots), preferIdle, random: () => 0.5 });

function pods(fleet: Fleet, count: number): Pod[] {
  return Array.from({ length: count }, () => {
    const pod = fleet.add();
    fleet.open(pod);
    return pod;
  });
}

describe('a fleet', () => {
  test('hands out each pod as often as it has slots', () => {
    const fleet = fleetOf(2);
    const [a, b] = pods(fleet, 2);
    const taken = Array.from({ length: 5 }, (_, message) => {
      const pod = fleet.takeIdle();
      if (pod !== undefined) fleet.work(pod, { message, leftMs: 100 }, 0);
      return pod;
    });
    expect(taken).toEqual([a, a, b, b, undefined]);
    expect(fleet.busy).toBe(4);
  });

  test('takes pods that are not ready first, then those with the fewest tasks, the newest of equals', () => {
    const fleet = fleetOf(3);
    const up = pods(fleet, 4);
    const starting = fleet.add();
    for (const [index, tasks] of [2, 0, 1, 1].entries())
      for (let task = 0; task < tasks; task++)
        fleet.work(up[index] as Pod, { message: task, leftMs: 100 }, 0);
    const order = [starting.id, 1, 3, 2, 0];
    expect(fleet.victims(5).map(({ id }) => id)).toEqual(order);
  });

  test('slows tasks of one pod by what they take of its processor, from when they meet', () => {
    const fleet = fleetOf(2, 1);
    const [pod] = pods(fleet, 1) as [Pod];
    fleet.work(pod, { message: 0, leftMs: 100 }, 0);
    expect(pod.doneMs).toBe(100);
    // Half of the first is done; the rest of it and the second go at half the speed.
    fleet.work(pod, { message: 1, leftMs: 100 }, 50);
    expect(pod.doneMs).toBe(150);
    expect(fleet.finish(pod, 150).message).toBe(0);
    expect(pod.doneMs).toBe(200);
  });
});

test('stretches lie between perfect overlap and taking turns', () => {
  for (const cpuShare of [0, 0.2, 0.7, 1])
    for (const cpus of [1, 2, 4]) {
      const found = stretches({ cpuShare, cpus }, 16);
      expect(found[1]).toBeCloseTo(1, 12);
      for (const [tasks, stretch] of found.entries()) {
        expect(stretch).toBeGreaterThanOrEqual(Math.max(1, (tasks * cpuShare) / cpus) - 1e-9);
        expect(stretch).toBeLessThanOrEqual(Math.max(1, tasks));
      }
    }
});

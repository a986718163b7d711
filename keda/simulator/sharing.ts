/** How the tasks that a pod has in hand at once share its processors. */

export interface Sharing {
  /** Share of a task's time that is work of the processor, 0 to 1, when it is alone; the rest waits for storage and broker. */
  cpuShare: number;
  /** The pod's processors: its CPU limit. */
  cpus: number;
}

/**
 * How much longer a task takes beside others: entry `k` is for `k` tasks at once, 1 for a task alone. By mean value
 * analysis of one shared station and a delay (Reiser and Lavenberg, 1980), several processors by Seidmann's
 * approximation: tasks that wait overlap, tasks that compute queue for the processor.
 */
export function stretches({ cpuShare, cpus }: Sharing, slots: number): number[] {
  const demand = cpuShare / Math.max(1, cpus);
  const delay = 1 - demand;
  const found = [1];
  let queue = 0;
  for (let tasks = 1; tasks <= slots; tasks++) {
    const response = demand * (1 + queue);
    queue = (tasks * response) / (delay + response);
    found.push(delay + response);
  }
  return found;
}

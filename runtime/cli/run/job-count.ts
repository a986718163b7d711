/** How many photos are worked on at a time, where nobody says so. */
import { type ImageLimits, photoMemory } from '../../image/limits.ts';
import { cpuLimit, memoryLimit } from '../../worker/cgroup.ts';

/** The rest is for this process and for the pages of files. */
const MEMORY_SHARE = 0.75;

/** One for each processor, as far as the largest photo that is accepted would still fit into memory in each. */
export function defaultJobs(
  { pixels, outputPixels }: ImageLimits,
  processors = cpuLimit(),
  memoryBytes = memoryLimit(),
): number {
  const fitting = Math.floor((MEMORY_SHARE * memoryBytes) / photoMemory(Math.max(pixels, outputPixels)));
  return Math.max(1, Math.min(processors, fitting));
}

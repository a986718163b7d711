/** How much memory a child may take, and the pixel limits that follow from it. */
import type { Config } from '../config.ts';
import { UserError } from '../errors.ts';
import { type ImageLimits, LEAST_PIXELS, photoMemory, photoPixels } from '../image/limits.ts';
import { formatSize } from '../units.ts';
import { memoryLimit } from './cgroup.ts';

/** A child may use this share of the container's memory; the parent and the page cache need the rest. */
const CHILD_MEMORY_SHARE = 0.75;

/**
 * The limits of a child in this container, its memory among them.
 * @throws UserError when the pixel limits that are set ask for more than there is
 */
export function childLimits(
  { child, limits }: Pick<Config, 'child' | 'limits'>,
  containerBytes = memoryLimit(),
): ImageLimits & { memoryBytes: number } {
  const memoryBytes = Math.min(child.maxMemoryBytes, CHILD_MEMORY_SHARE * containerBytes);
  const neededBytes = child.neededBytes ?? photoMemory(LEAST_PIXELS);
  const fitting = photoPixels(memoryBytes);
  if (memoryBytes < neededBytes) {
    const asked =
      child.neededBytes === undefined
        ? 'The filters'
        : `LIMIT_PIXELS (${limits.pixels}) and LIMIT_OUTPUT_PIXELS (${limits.outputPixels})`;
    const smaller = fitting < LEAST_PIXELS ? '' : `, or set both limits to at most ${fitting}`;
    throw new UserError(
      `${asked} need ${formatSize(neededBytes)} of memory in a child, which may take three quarters of the container's ${formatSize(containerBytes)}. Give the container at least ${formatSize(neededBytes / CHILD_MEMORY_SHARE)}${smaller}.`,
    );
  }
  const { pixels, outputPixels } = limits;
  return {
    ...limits,
    pixels: Math.min(pixels, fitting),
    outputPixels: Math.min(outputPixels, fitting),
    memoryBytes,
  };
}

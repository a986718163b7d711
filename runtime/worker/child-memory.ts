/** How many slots a container holds, how much memory the child of each may take, and the pixel limits that follow. */
import type { Config } from '../config.ts';
import { UserError } from '../errors.ts';
import { type ImageLimits, LEAST_PIXELS, photoMemory, photoPixels } from '../image/limits.ts';
import { formatSize } from '../units.ts';
import { cpuLimit, memoryLimit } from './cgroup.ts';

/** The children may use this share of the container's memory; the parent and the page cache need the rest. */
const CHILD_MEMORY_SHARE = 0.75;

type Settings = Pick<Config, 'child' | 'functions' | 'slots'>;

/**
 * Slots for each filter. Where nobody has set them, one more than processors, so that one works while another waits for
 * the disk and the broker, as far as they fit without a task being allowed less memory. On one processor, a local disk
 * and 12-megapixel photos, two slots do 37 to 40 images a second where one does 33 to 36, and more than two no more; by
 * S3 with 40 ms, 1, 2, 4 and 8 do 4.5, 7.0, 10.1 and 12.6. Each takes some 60 MiB, a worker more 130.
 * @throws UserError when those that are set do not fit
 */
export function slotsPerFilter(
  { child: { maxMemoryBytes }, functions, slots }: Settings,
  containerBytes = memoryLimit(),
  processors = cpuLimit(),
): number {
  const filters = Math.max(1, functions.length);
  const fitting = Math.floor((CHILD_MEMORY_SHARE * containerBytes) / (filters * maxMemoryBytes));
  if (slots === undefined) return Math.max(1, Math.min(Math.ceil((processors + 1) / filters), fitting));
  // A single child is content with less than it may take.
  if (slots === 1 || slots <= fitting) return slots;
  const children = filters * slots;
  const each = filters === 1 ? `${slots} slots` : `${filters} filters with ${slots} slots each`;
  const share = (CHILD_MEMORY_SHARE * containerBytes) / children;
  const smaller =
    share < photoMemory(LEAST_PIXELS)
      ? ''
      : `, or CHILD_MAX_MEMORY to at most ${Math.floor(share / 1_048_576)}MiB`;
  throw new UserError(
    `SLOTS (${slots}): ${each} may take ${formatSize(children * maxMemoryBytes)} (CHILD_MAX_MEMORY: ${formatSize(maxMemoryBytes)} for each), which must fit into three quarters of the container's ${formatSize(containerBytes)}. Give the container at least ${formatSize((children * maxMemoryBytes) / CHILD_MEMORY_SHARE)}, or set SLOTS to at most ${Math.max(1, fitting)}${smaller}.`,
  );
}

/**
 * The limits of each child in this container, its memory among them.
 * @throws UserError when the slots or the pixel limits that are set ask for more than there is
 */
export function childLimits(
  config: Settings & Pick<Config, 'limits'>,
  containerBytes = memoryLimit(),
): ImageLimits & { memoryBytes: number } {
  const { child, limits } = config;
  const children = Math.max(1, config.functions.length) * slotsPerFilter(config, containerBytes);
  const memoryBytes = Math.min(child.maxMemoryBytes, (CHILD_MEMORY_SHARE * containerBytes) / children);
  const neededBytes = child.neededBytes ?? photoMemory(LEAST_PIXELS);
  const fitting = photoPixels(memoryBytes);
  if (memoryBytes < neededBytes) {
    const asked =
      child.neededBytes === undefined
        ? 'The filters'
        : `LIMIT_PIXELS (${limits.pixels}) and LIMIT_OUTPUT_PIXELS (${limits.outputPixels})`;
    const smaller = fitting < LEAST_PIXELS ? '' : `, or set both limits to at most ${fitting}`;
    const share = children === 1 ? 'a child, which' : `each of ${children} children, which together`;
    throw new UserError(
      `${asked} need ${formatSize(neededBytes)} of memory in ${share} may take three quarters of the container's ${formatSize(containerBytes)}. Give the container at least ${formatSize((children * neededBytes) / CHILD_MEMORY_SHARE)}${smaller}.`,
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

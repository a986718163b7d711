/** What the variables of the configuration must be to each other; a fault names both, and the values to use. */
import { LEAST_PIXELS, photoMemory, photoPixels } from './image/limits.ts';
import { formatDuration, formatSize } from './units.ts';

interface Times {
  TASK_TIMEOUT: number;
  DRAIN_TIMEOUT: number;
  TERMINATION_GRACE_PERIOD: number;
  KEDA_COOLDOWN: number;
  CONSUMER_TIMEOUT: number;
}

interface Sizes {
  CHILD_MAX_MEMORY: number;
  LIMIT_PIXELS?: number;
  LIMIT_OUTPUT_PIXELS?: number;
}

export function relationFaults(read: Times & Sizes): string[] {
  return [...chainFaults(read), ...memoryFaults(read)];
}

/** The chain of times: a task must fit the drain, the drain the grace period, and the grace period the cooldown. */
function chainFaults(read: Times): string[] {
  const chain: [keyof Times, keyof Times, string][] = [
    ['TASK_TIMEOUT', 'DRAIN_TIMEOUT', 'a task in hand must be able to finish while the worker drains'],
    ['DRAIN_TIMEOUT', 'TERMINATION_GRACE_PERIOD', 'the worker must have drained before it is killed'],
    [
      'TERMINATION_GRACE_PERIOD',
      'KEDA_COOLDOWN',
      'a pod must be gone before the next scale-in is considered',
    ],
    ['TASK_TIMEOUT', 'CONSUMER_TIMEOUT', 'the broker must not take a task back while it is being worked on'],
  ];
  return chain
    .filter(([shorter, longer]) => read[shorter] >= read[longer])
    .map(
      ([shorter, longer, why]) =>
        `${shorter} (${formatDuration(read[shorter])}) must be less than ${longer} (${formatDuration(read[longer])}): ${why}`,
    );
}

/** Photos as large as the limits allow must fit into the memory of a child. */
function memoryFaults(read: Sizes): string[] {
  const memory = formatSize(read.CHILD_MAX_MEMORY);
  const fitting = photoPixels(read.CHILD_MAX_MEMORY);
  if (fitting < LEAST_PIXELS)
    return [
      `CHILD_MAX_MEMORY (${memory}) must be at least ${formatSize(photoMemory(LEAST_PIXELS))}: the child process takes most of that before its first image`,
    ];
  return (['LIMIT_PIXELS', 'LIMIT_OUTPUT_PIXELS'] as const).flatMap((name) => {
    const pixels = read[name] ?? 0;
    if (pixels <= fitting) return [];
    return `${name} (${pixels}) must be at most ${fitting} with CHILD_MAX_MEMORY at ${memory}, or CHILD_MAX_MEMORY at least ${formatSize(photoMemory(pixels))}: the memory of a child must hold a photo of so many pixels`;
  });
}

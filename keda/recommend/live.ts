/** Samples queues through RabbitMQ's management API. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { QueueSample } from './sample.ts';

/** One queue as the management API tells it. */
interface QueueReport extends Omit<QueueSample, 'atMs'> {
  name: string;
}

export interface LiveOptions {
  management: { queues(): Promise<QueueReport[]> };
  /** What queue names start with; `<prefix>.<function>`. */
  prefix: string;
  functions: readonly string[];
  /** How long to look; RabbitMQ's counts change every five seconds. */
  spanMs: number;
  everyMs: number;
  onSample?: (done: number, total: number) => void;
}

/** Samples by function, for those whose queue exists. */
export async function sampleQueues(options: LiveOptions): Promise<Map<string, QueueSample[]>> {
  const { management, prefix, functions, spanMs, everyMs, onSample } = options;
  const found = new Map<string, QueueSample[]>();
  const total = Math.floor(spanMs / everyMs) + 1;
  const startMs = Date.now();
  for (let done = 1; done <= total; done++) {
    const reports = new Map((await management.queues()).map((report) => [report.name, report]));
    const atMs = Date.now();
    for (const name of functions) {
      const report = reports.get(`${prefix}.${name}`);
      if (report !== undefined) found.set(name, [...(found.get(name) ?? []), sampleOf(report, atMs)]);
    }
    onSample?.(done, total);
    if (done < total) await sleep(Math.max(0, startMs + done * everyMs - Date.now()));
  }
  return found;
}

function sampleOf(
  { ready, unacked, consumers, publishRate, ackRate }: QueueReport,
  atMs: number,
): QueueSample {
  return { atMs, ready, unacked, consumers, publishRate, ackRate };
}

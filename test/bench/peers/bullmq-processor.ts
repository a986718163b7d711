/** What BullMQ runs in child processes of a worker. */
import type { SandboxedJob } from 'bullmq';
import type { PhotoJob } from './bullmq.ts';
import { shrinkSafely } from './shrink.ts';

export default async function processor({ data }: SandboxedJob<PhotoJob>): Promise<void> {
  await shrinkSafely(data.source, data.target);
}

/** What BullMQ runs in child processes of a worker. */
import type { SandboxedJob } from 'bullmq';
import type { PhotoJob } from './bullmq.ts';
import { makeSmallSafely } from './make-small.ts';

export default async function processor({ data }: SandboxedJob<PhotoJob>): Promise<void> {
  await makeSmallSafely(data.source, data.target);
}

/** A BullMQ worker process: `bullmq-worker.ts PORT DURABILITY AT_ONCE`. Ends with its standard input. */
import { fileURLToPath } from 'node:url';
import { type Job, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { BULLMQ_QUEUE, type PhotoJob } from './bullmq.ts';
import { makeSmall } from './make-small.ts';

const PROCESSOR = fileURLToPath(new URL('bullmq-processor.ts', import.meta.url));

const [port, durability, atOnce] = process.argv.slice(2);
const connection = new Redis({ port: Number(port), maxRetriesPerRequest: null });
const processor =
  durability === 'safe' ? PROCESSOR : ({ data }: Job<PhotoJob>) => makeSmall(data.source, data.target);
const worker = new Worker<PhotoJob>(BULLMQ_QUEUE, processor, { connection, concurrency: Number(atOnce) });
worker.on('error', (error) => console.error(error));
await worker.waitUntilReady();
console.log('ready');
for await (const _ of process.stdin);
process.exit();

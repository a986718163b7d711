/** Dead letters as commands get them from the queue. */
import type { GetMessage, Options } from 'amqplib';
import type { GotMessage } from '../../runtime/cli/browse-queue.ts';
import { parseDeadLetter } from '../../runtime/cli/dead-letter.ts';
import { planReplay } from '../../runtime/cli/dead-letter-replay.ts';
import { openStorage } from '../../runtime/storage/open.ts';
import type { Storage } from '../../runtime/storage/storage.ts';
import { parseTask } from '../../runtime/task/task.ts';
import { type TaskMarker, writeMarker } from '../../runtime/task/task-marker.ts';
import type { Installation } from './installation.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { until } from './until.ts';

export const FAILED_AT = '2026-01-01T00:00:00.000Z';

/** Headers that a worker writes. */
export const OF_A_WORKER = {
  'darkroom-id': 'cat',
  'darkroom-fingerprint': 'f'.repeat(22),
  'darkroom-step': 1,
  'darkroom-generation': 2,
  'darkroom-attempts': 3,
  'darkroom-filter': 'blur',
  'darkroom-failure-type': 'storage',
  'darkroom-failure-reason': 'The disk is full.',
  'darkroom-failed-at': FAILED_AT,
  'darkroom-worker': 'pod-1',
};

export const TASK = {
  id: 'cat',
  input: 'cat.png',
  steps: [{ filter: 'flip' }, { filter: 'blur', params: { radius: 1 } }],
};

export interface LetterParts {
  headers?: Record<string, unknown>;
  properties?: object;
  body?: unknown;
  exchange?: string;
  routingKey?: string;
}

/** One that a worker's message to the exchange of dead letters has become, unless told otherwise. */
export function letterWith({
  headers = OF_A_WORKER,
  properties = { userId: 'worker' },
  body = TASK,
  exchange = 'darkroom.dead',
  routingKey = 'blur',
}: LetterParts): GotMessage {
  return {
    body: Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body)),
    properties: { headers, ...properties } as GetMessage['properties'],
    fields: { exchange, routingKey } as GetMessage['fields'],
  };
}

export function messageWith(
  headers: Record<string, unknown>,
  properties: object = {},
  routingKey = 'blur',
): GotMessage {
  return letterWith({ headers, properties, routingKey, body: {} });
}

export const { fingerprint: FINGERPRINT } = parseTask(
  { body: Buffer.from(JSON.stringify(TASK)), properties: {}, headers: {} },
  'flip',
).task;

/** A storage, and the plans that replays make by it; the user `worker` is believed. */
export async function openReplaySite() {
  const folder = await temporaryFolder();
  const storage = await openStorage(`file://${folder.path}`);
  const options = { prefix: 'darkroom', storage, functionsDir: '/nowhere', knownFilters: ['flip', 'blur'] };
  return {
    storage,
    plan(parts: LetterParts) {
      const message = letterWith(parts);
      const letter = parseDeadLetter(message, 'darkroom', (user) => user === 'worker');
      return planReplay(letter, message, options);
    },
    [Symbol.asyncDispose]: folder[Symbol.asyncDispose],
  };
}

/** Ends a generation of {@link TASK}: as failed, unless told otherwise. */
export async function markEnded(storage: Storage, generation: number, change: Partial<TaskMarker> = {}) {
  await writeMarker(storage, {
    task_id: TASK.id,
    generation,
    fingerprint: FINGERPRINT,
    outcome: 'failed',
    time: FAILED_AT,
    data: { failure_type: 'storage', failure_reason: 'full' },
    ...change,
  });
}

/** A task whose input is not there. */
export const LOST = { input: 'none.png', steps: [{ filter: 'flip' }] };

export interface StrangeMessage {
  body?: unknown;
  headers?: Record<string, unknown>;
  properties?: Options.Publish;
}

/** Past our own publisher, which says who we are, and leaves out what should not be sent. */
export async function sendAsStranger(
  at: Installation,
  exchange: string,
  key: string,
  sent: StrangeMessage[],
): Promise<void> {
  await at.broker.withChannel(async (channel) => {
    for (const { body = LOST, headers = {}, properties = {} } of sent) {
      const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
      channel.publish(exchange, key, bytes, { contentType: 'application/json', ...properties, headers });
    }
  });
}

export async function lettersAre(at: Installation, count: number): Promise<void> {
  await until(async () => (await at.depth(at.names.dead)) === count, `${count} dead letters`);
}

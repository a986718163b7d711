/** The message contract: what a publisher may send, and how a message becomes a task and a hop of it. */
import { createHash, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { Rejection } from '../errors.ts';
import { assertUserKey } from '../storage/keys.ts';
import { validationMessage } from '../validation-message.ts';

export const MAX_STEPS = 20;
/** A task is a reference with a few steps; anything larger is a mistake. */
const MAX_TASK_BYTES = 1_048_576;
/** With what is added to it, an id has to fit a property of AMQP, which holds 255 bytes. */
const MAX_ID_BYTES = 200;

const filterName = z
  .string('a filter name')
  .regex(/^[a-z][a-z0-9-]{0,39}$/, 'a filter name of lower-case letters, digits and dashes');
const stepSchema = z.strictObject({
  filter: filterName,
  params: z.record(z.string(), z.unknown(), 'an object').default({}),
});
const stepsSchema = z
  .array(stepSchema, 'a list of steps')
  .min(1, 'at least one step')
  .max(MAX_STEPS, `at most ${MAX_STEPS} steps`);
const outputSchema = z.looseObject({ key: z.string('a storage key').optional() }, 'an object');
const common = {
  id: z
    .string('text')
    .min(1, 'an id')
    .refine((id) => Buffer.byteLength(id) <= MAX_ID_BYTES, `expected at most ${MAX_ID_BYTES} bytes in UTF-8`)
    .optional(),
  output: outputSchema.optional(),
  /** Seconds that one step may take; the worker's own TASK_TIMEOUT still holds. */
  timeout: z
    .number('a number of seconds')
    .positive('a number of seconds above 0')
    .max(86_400, 'at most 86400 seconds')
    .optional(),
};
const input = z
  .string('a storage key, s3://bucket/key or https://…')
  .min(1, 'a storage key, s3://bucket/key or https://…')
  .max(4_096);
const longSchema = z.strictObject({ ...common, input: input.optional(), steps: stepsSchema });
const shortSchema = z.strictObject({
  ...common,
  input,
  params: z.record(z.string(), z.unknown(), 'an object').default({}),
});

export interface Step {
  filter: string;
  params: Record<string, unknown>;
}

export interface Task {
  id: string;
  /** Where the first step finds its image; undefined when the image came inside the message. */
  input: string | undefined;
  steps: Step[];
  /** `key` says where the result goes (default `out/<id>.<extension>`); the rest is the encoding. */
  output: { key?: string; [option: string]: unknown };
  timeoutMs: number | undefined;
  /** Tells two different tasks apart that carry the same id. */
  fingerprint: string;
}

/** One step's outcome, kept along the way for the final event. Milliseconds; queueMs is null when unknown. */
export interface StepRecord {
  filter: string;
  attempt: number;
  queue_ms: number | null;
  work_ms: number;
}

/** Where a task stands: travels in our own headers, so that the body stays as the publisher wrote it. */
export interface Hop {
  step: number;
  /** Tries of this step that failed so far. */
  attempt: number;
  /** Raised by each replay from the dead letters. */
  generation: number;
  inline: boolean;
  /** When this hop, and when the whole task, was published; epoch ms, null when the publisher did not say. */
  publishedMs: number | null;
  submittedMs: number | null;
  /** When the present step first failed, epoch ms. */
  firstFailedMs: number | null;
  history: StepRecord[];
}

/** What of a message the contract reads. */
export interface TaskMessage {
  body: Buffer;
  properties: { contentType?: string; messageId?: string; timestamp?: number };
  headers: Record<string, unknown>;
}

/** Our own header names, in one place. */
export const HEADERS = {
  steps: 'darkroom-steps',
  output: 'darkroom-output',
  id: 'darkroom-id',
  step: 'darkroom-step',
  attempt: 'darkroom-attempt',
  generation: 'darkroom-generation',
  inline: 'darkroom-inline',
  fingerprint: 'darkroom-fingerprint',
  published: 'darkroom-published-ms',
  submitted: 'darkroom-submitted-ms',
  firstFailed: 'darkroom-first-failed-ms',
  history: 'darkroom-history',
  /** Set by our own publisher: a record of the submission lies beside the intermediates. */
  recorded: 'darkroom-recorded',
} as const;

/**
 * The task in a message that arrived at `filter`'s queue.
 * @throws Rejection `invalid-message` or `invalid-task` that names the path, the value and what was expected.
 */
export function parseTask(message: TaskMessage, filter: string): { task: Task; hop: Hop } {
  const hop = parseHop(message);
  const inline = message.properties.contentType?.startsWith('image/') === true;
  const written = inline ? inlineTask(message.headers) : jsonTask(message, filter);
  const task: Task = {
    id: written.id ?? text(message.headers[HEADERS.id]) ?? message.properties.messageId ?? randomUUID(),
    input: written.input,
    steps: written.steps,
    output: written.output ?? {},
    timeoutMs: written.timeout === undefined ? undefined : Math.round(written.timeout * 1_000),
    fingerprint:
      text(message.headers[HEADERS.fingerprint]) ?? fingerprint(written, inline ? message.body : undefined),
  };
  hop.inline ||= inline;
  checkTask(task, hop);
  return { task, hop };
}

/** The body of the messages that follow an inline image's first step: the task without its image. */
export function taskBody(task: Task): Buffer {
  const { id, steps, output, timeoutMs } = task;
  return Buffer.from(
    JSON.stringify({ id, steps, output, ...(timeoutMs !== undefined && { timeout: timeoutMs / 1_000 }) }),
  );
}

/** As much of an id as a task's id may have, for a message that is no task; no character is cut in two. */
export function shortenId(id: string): string {
  // In the middle of a stream, the decoder keeps an unfinished character back.
  return new TextDecoder().decode(Buffer.from(id).subarray(0, MAX_ID_BYTES), { stream: true });
}

/** The headers that say where a task stands. */
export function hopHeaders(task: Task, hop: Hop): Record<string, unknown> {
  return {
    [HEADERS.id]: task.id,
    [HEADERS.fingerprint]: task.fingerprint,
    [HEADERS.step]: hop.step,
    [HEADERS.attempt]: hop.attempt,
    ...(hop.generation > 0 && { [HEADERS.generation]: hop.generation }),
    ...(hop.inline && { [HEADERS.inline]: true }),
    [HEADERS.published]: hop.publishedMs ?? undefined,
    [HEADERS.submitted]: hop.submittedMs ?? undefined,
    [HEADERS.firstFailed]: hop.firstFailedMs ?? undefined,
    ...(hop.history.length > 0 && { [HEADERS.history]: JSON.stringify(hop.history) }),
  };
}

type Written = z.output<typeof longSchema>;

function jsonTask(message: TaskMessage, filter: string): Written {
  if (message.body.length > MAX_TASK_BYTES) {
    throw new Rejection(
      `The message has ${message.body.length} bytes; a task in JSON has at most ${MAX_TASK_BYTES}. Send an image as content_type image/*.`,
      { failureType: 'invalid-message' },
    );
  }
  const root = parseJson(message.body.toString('utf8'), 'The message body');
  if (typeof root !== 'object' || root === null || Array.isArray(root)) {
    throw new Rejection(
      `The message body is ${described(root)}; expected a JSON object with "input" and "steps".`,
      { failureType: 'invalid-message' },
    );
  }
  if ('steps' in root) return validated(longSchema, root);
  const { params, ...rest } = validated(shortSchema, root);
  return { ...rest, steps: [{ filter, params }] };
}

function inlineTask(headers: Record<string, unknown>): Written {
  const steps = text(headers[HEADERS.steps]);
  if (steps === undefined) {
    throw new Rejection(
      `The message is an image; expected its steps as JSON in the header ${HEADERS.steps}, such as [{"filter":"blur","params":{"radius":3}}].`,
      { failureType: 'invalid-message' },
    );
  }
  const output = text(headers[HEADERS.output]);
  return validated(longSchema, {
    steps: parseJson(steps, `The header ${HEADERS.steps}`),
    ...(output !== undefined && { output: parseJson(output, `The header ${HEADERS.output}`) }),
  });
}

function parseHop(message: TaskMessage): Hop {
  const { headers, properties } = message;
  const publishedMs =
    integer(headers[HEADERS.published], 1e15) ?? integer(toEpochMs(properties.timestamp ?? -1), 1e15) ?? null;
  return {
    step: integer(headers[HEADERS.step], MAX_STEPS) ?? 0,
    attempt: integer(headers[HEADERS.attempt], 1_000) ?? 0,
    generation: integer(headers[HEADERS.generation], 1_000_000) ?? 0,
    inline: headers[HEADERS.inline] === true,
    publishedMs,
    submittedMs: integer(headers[HEADERS.submitted], 1e15) ?? publishedMs,
    firstFailedMs: integer(headers[HEADERS.firstFailed], 1e15) ?? null,
    history: parseHistory(text(headers[HEADERS.history])),
  };
}

/** AMQP timestamps are seconds; some clients send milliseconds. */
function toEpochMs(timestamp: number): number {
  return timestamp > 1e11 ? timestamp : timestamp * 1_000;
}

const historySchema = z
  .array(
    z.object({
      filter: filterName,
      attempt: z.number(),
      queue_ms: z.number().nullable(),
      work_ms: z.number(),
    }),
  )
  .max(MAX_STEPS);

function parseHistory(json: string | undefined): StepRecord[] {
  if (json === undefined) return [];
  try {
    return historySchema.parse(JSON.parse(json));
  } catch {
    return []; // Only our own bookkeeping is lost with it.
  }
}

function checkTask(task: Task, hop: Hop): void {
  const fail = (message: string) => {
    throw new Rejection(message, { failureType: 'invalid-task' });
  };
  const idBytes = Buffer.byteLength(task.id);
  if (idBytes > MAX_ID_BYTES)
    fail(`message_id: expected at most ${MAX_ID_BYTES} bytes in UTF-8, got ${idBytes}.`);
  if (hop.step >= task.steps.length)
    fail(`${HEADERS.step}: expected 0 to ${task.steps.length - 1}, got ${hop.step}.`);
  if (task.input === undefined && !hop.inline)
    fail('input: expected a storage key, s3://bucket/key or https://…, got nothing.');
  if (task.output.key !== undefined) assertUserKey(task.output.key, 'output.key');
}

function fingerprint(written: Written, image: Buffer | undefined): string {
  const hash = createHash('sha256').update(JSON.stringify([written.input, written.steps, written.output]));
  if (image !== undefined) hash.update(image);
  return hash.digest('base64url').slice(0, 22);
}

function validated<T extends z.ZodType>(schema: T, root: unknown): z.output<T> {
  const result = schema.safeParse(root);
  if (result.success) return result.data;
  throw new Rejection(validationMessage(result.error, root, schema), { failureType: 'invalid-task' });
}

function parseJson(json: string, what: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new Rejection(`${what} is not JSON: ${(error as Error).message}.`, {
      failureType: 'invalid-message',
      cause: error,
    });
  }
}

function described(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}

function text(header: unknown): string | undefined {
  return typeof header === 'string' && header !== '' ? header : undefined;
}

function integer(header: unknown, max: number): number | undefined {
  return typeof header === 'number' && Number.isInteger(header) && header >= 0 && header <= max
    ? header
    : undefined;
}

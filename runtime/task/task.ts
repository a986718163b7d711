/** The message contract: what a publisher may send, and how a message becomes a task and a hop of it. */
import { createHash, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { Rejection } from '../errors.ts';
import { assertUserKey } from '../storage/keys.ts';
import { validationMessage } from '../validation-message.ts';
import { HEADERS, type Hop, parseHop } from './hop.ts';
import { faultOfShape } from './shape.ts';

export const MAX_STEPS = 20;
/** A task is a reference with a few steps; anything larger is a mistake. */
const MAX_TASK_BYTES = 1_048_576;
/** Nested deeper, or of more values, no task makes sense; what walks it must not run out of stack. */
const MAX_DEPTH = 20;
const MAX_VALUES = 10_000;
/** With what a retry adds, headers have to fit into the 64 KiB that can be sent. */
const MAX_HEADER_BYTES = 49_152;
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
    // Two that are not would be one where their UTF-8 counts: in a hash, in a header.
    .refine((id) => id.isWellFormed(), 'expected well-formed Unicode')
    .refine((id) => Buffer.byteLength(id) <= MAX_ID_BYTES, `expected at most ${MAX_ID_BYTES} bytes in UTF-8`)
    .optional(),
  output: outputSchema.optional(),
  /** Seconds that one step may take; the worker's own TASK_TIMEOUT still holds. */
  timeout: z
    .number('a number of seconds')
    .min(0.1, 'at least 0.1 seconds')
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

/** What of a message the contract reads. */
export interface TaskMessage {
  body: Buffer;
  properties: { contentType?: string; messageId?: string; timestamp?: number };
  /** Of a message that is not our own: without those that only we may set (`withoutHopHeaders`). */
  headers: Record<string, unknown>;
  /** Epoch ms; default now. */
  receivedAtMs?: number;
}

/**
 * The task in a message that arrived at `filter`'s queue.
 * @throws Rejection `invalid-message` or `invalid-task` that names the path, the value and what was expected.
 */
export function parseTask(message: TaskMessage, filter: string): { task: Task; hop: Hop } {
  const { headers, properties, body } = message;
  const hop = parseHop(headers, properties, message.receivedAtMs ?? Date.now());
  const inline = properties.contentType?.startsWith('image/') === true;
  const written = inline ? inlineTask(headers) : jsonTask(message, filter);
  const { input, steps, output = {}, timeout } = written;
  const task: Task = {
    id: written.id ?? text(headers[HEADERS.id]) ?? properties.messageId ?? randomUUID(),
    input,
    steps,
    output,
    timeoutMs: timeout === undefined ? undefined : Math.round(timeout * 1_000),
    fingerprint:
      text(headers[HEADERS.fingerprint]) ??
      fingerprintOf([input, steps, output, inline ? sha256(body) : undefined]),
  };
  hop.inline ||= inline;
  checkTask(task, hop);
  return { task, hop };
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
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
  const bytes = Buffer.byteLength(steps) + Buffer.byteLength(output ?? '');
  if (bytes > MAX_HEADER_BYTES)
    throw new Rejection(
      `The headers ${HEADERS.steps} and ${HEADERS.output} have ${bytes} bytes; expected at most ${MAX_HEADER_BYTES}.`,
      { failureType: 'invalid-message' },
    );
  return validated(longSchema, {
    steps: parseJson(steps, `The header ${HEADERS.steps}`),
    ...(output !== undefined && { output: parseJson(output, `The header ${HEADERS.output}`) }),
  });
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
  if (task.output.key === undefined) return;
  assertUserKey(task.output.key, 'output.key');
  if (task.output.key === task.input)
    fail('output.key: is the input itself, which a repeat would filter once more; expected another key.');
}

/** The same for values that differ only in the order of keys, in nulls, and in absent or empty objects. */
export function fingerprintOf(meaning: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(canonical(meaning)) ?? '')
    .digest('base64url')
    .slice(0, 22);
}

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => canonical(item) ?? null);
  if (typeof value !== 'object' || value === null) return value ?? undefined;
  const entries = Object.entries(value)
    .map(([key, item]) => [key, canonical(item)] as const)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function validated<T extends z.ZodType>(schema: T, root: unknown): z.output<T> {
  const result = schema.safeParse(root);
  if (result.success) return result.data;
  throw new Rejection(validationMessage(result.error, root, schema), { failureType: 'invalid-task' });
}

function parseJson(json: string, what: string): unknown {
  const root = readJson(json, what);
  const fault = faultOfShape(root, MAX_DEPTH, MAX_VALUES);
  if (fault === undefined) return root;
  throw new Rejection(`${what} ${fault}.`, { failureType: 'invalid-message' });
}

function readJson(json: string, what: string): unknown {
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

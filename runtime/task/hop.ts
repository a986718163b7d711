/**
 * Where a task stands, and the headers in which that travels from worker to worker, so that the body stays as the
 * publisher wrote it. Such headers count only in messages of our own: anybody can write them.
 */
import { z } from 'zod';
import type { Task } from './task.ts';

/** One step's outcome, kept along the way for the final event. Milliseconds; queue_ms is null when unknown. */
export interface StepRecord {
  filter: string;
  attempt: number;
  queue_ms: number | null;
  work_ms: number;
  /** Done by the worker of the step before, without a queue between them. */
  carried?: true | undefined;
}

export interface Hop {
  step: number;
  /** Tries of this step that failed so far. */
  attempt: number;
  /** Raised by each replay from the dead letters. */
  generation: number;
  /** How often the task was started again, because an image between two steps was gone or damaged. */
  restarts: number;
  /** The image came inside the first message. */
  inline: boolean;
  /** The worker that had it before had to stop during the work. */
  wasGivenBack: boolean;
  /** Workers died that had it in hand beside others: it has to be worked on alone. */
  isSuspect: boolean;
  /** No try of this copy of the task so far can have written the marker that promises a result. */
  hasNotPromised: boolean;
  /** An earlier hop of this copy may have been carried to the end, and have promised a result that it did not store. */
  mayHavePromised: boolean;
  /** When this hop, and when the whole task, was published; epoch ms, null when the publisher did not say. */
  publishedMs: number | null;
  submittedMs: number | null;
  /** When a worker first had the task, epoch ms; null before. */
  seenMs: number | null;
  /** When the present step first failed, epoch ms. */
  firstFailedMs: number | null;
  history: StepRecord[];
}

/** All header names of ours, in one place. */
export const HEADERS = {
  /** For publishers: an inline image's steps and output. */
  steps: 'darkroom-steps',
  output: 'darkroom-output',
  /** For publishers: when the message was published, for the wait that the metrics show. */
  published: 'darkroom-published-ms',
  /** For publishers: a record of the submission lies beside the intermediates, and goes when the task ends. */
  recorded: 'darkroom-recorded',
  id: 'darkroom-id',
  step: 'darkroom-step',
  attempt: 'darkroom-attempt',
  generation: 'darkroom-generation',
  restarts: 'darkroom-restarts',
  inline: 'darkroom-inline',
  givenBack: 'darkroom-given-back',
  suspect: 'darkroom-suspect',
  notPromised: 'darkroom-not-promised',
  mayHavePromised: 'darkroom-may-have-promised',
  fingerprint: 'darkroom-fingerprint',
  submitted: 'darkroom-submitted-ms',
  seen: 'darkroom-seen-ms',
  firstFailed: 'darkroom-first-failed-ms',
  history: 'darkroom-history',
} as const;

/**
 * How often the task was begun anew because a worker did not believe the one before it. It counts from anyone: it can
 * only end a task of its sender's own.
 */
export const DOUBTS_HEADER = 'darkroom-doubts';
/** More than this, and the installation's users do not believe each other. */
export const MAX_DOUBTS = 3;

const FOR_PUBLISHERS: ReadonlySet<string> = new Set([
  HEADERS.steps,
  HEADERS.output,
  HEADERS.published,
  HEADERS.recorded,
]);
const MAX_ATTEMPTS = 1_000;
const MAX_GENERATIONS = 1_000_000;
const MAX_STEP = 20;
/** The year 2286; a later time is a mistake, and some are too large for a date. */
const MAX_EPOCH_MS = 1e13;
/** A publisher's clock may be ahead by so much. */
const CLOCK_SKEW_MS = 60_000;

/** The headers of a message that is not one of our own: what only we may say is left out. */
export function withoutHopHeaders(headers: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !name.startsWith('darkroom-') || FOR_PUBLISHERS.has(name)),
  );
}

/** How often a message's task was begun anew, with this time, when its sender is not believed. */
export function doubtsOf(headers: Record<string, unknown>): number {
  const before = whole(headers[DOUBTS_HEADER], MAX_DOUBTS) ?? 0;
  return saysWhereItStands(headers) ? before + 1 : before;
}

export function saysWhereItStands(headers: Record<string, unknown>): boolean {
  return HEADERS.step in headers || HEADERS.generation in headers;
}

/** The hop in headers that can be believed; what is missing or no such value counts as the start. */
export function parseHop(
  headers: Record<string, unknown>,
  { timestamp }: { timestamp?: number },
  receivedAtMs: number,
): Hop {
  const said =
    whole(headers[HEADERS.published], MAX_EPOCH_MS) ?? whole(toEpochMs(timestamp ?? -1), MAX_EPOCH_MS);
  const publishedMs = said !== undefined && said <= receivedAtMs + CLOCK_SKEW_MS ? said : null;
  return {
    step: whole(headers[HEADERS.step], MAX_STEP) ?? 0,
    attempt: whole(headers[HEADERS.attempt], MAX_ATTEMPTS) ?? 0,
    generation: whole(headers[HEADERS.generation], MAX_GENERATIONS) ?? 0,
    restarts: whole(headers[HEADERS.restarts], MAX_ATTEMPTS) ?? 0,
    inline: headers[HEADERS.inline] === true,
    wasGivenBack: headers[HEADERS.givenBack] === true,
    isSuspect: headers[HEADERS.suspect] === true,
    hasNotPromised: headers[HEADERS.notPromised] === true,
    mayHavePromised: headers[HEADERS.mayHavePromised] === true,
    publishedMs,
    submittedMs: whole(headers[HEADERS.submitted], MAX_EPOCH_MS) ?? publishedMs,
    seenMs: whole(headers[HEADERS.seen], MAX_EPOCH_MS) ?? null,
    firstFailedMs: whole(headers[HEADERS.firstFailed], MAX_EPOCH_MS) ?? null,
    history: parseHistory(headers[HEADERS.history]),
  };
}

/** The headers that say where a task stands. */
export function hopHeaders(task: Task, hop: Hop): Record<string, unknown> {
  return {
    [HEADERS.id]: task.id,
    [HEADERS.fingerprint]: task.fingerprint,
    [HEADERS.step]: hop.step,
    [HEADERS.attempt]: hop.attempt,
    ...(hop.generation > 0 && { [HEADERS.generation]: hop.generation }),
    ...(hop.restarts > 0 && { [HEADERS.restarts]: hop.restarts }),
    ...(hop.inline && { [HEADERS.inline]: true }),
    [HEADERS.givenBack]: hop.wasGivenBack ? true : undefined,
    [HEADERS.suspect]: hop.isSuspect ? true : undefined,
    [HEADERS.notPromised]: hop.hasNotPromised ? true : undefined,
    [HEADERS.mayHavePromised]: hop.mayHavePromised ? true : undefined,
    [HEADERS.published]: hop.publishedMs ?? undefined,
    [HEADERS.submitted]: hop.submittedMs ?? undefined,
    [HEADERS.seen]: hop.seenMs ?? undefined,
    [HEADERS.firstFailed]: hop.firstFailedMs ?? undefined,
    ...(hop.history.length > 0 && { [HEADERS.history]: JSON.stringify(hop.history) }),
  };
}

/** AMQP timestamps are seconds; some clients send milliseconds. */
function toEpochMs(timestamp: number): number {
  return timestamp > 1e11 ? timestamp : timestamp * 1_000;
}

const historySchema = z
  .array(
    z.object({
      filter: z.string().max(40),
      attempt: z.number(),
      queue_ms: z.number().nullable(),
      work_ms: z.number(),
      carried: z.literal(true).optional(),
    }),
  )
  .max(MAX_STEP);

function parseHistory(json: unknown): StepRecord[] {
  if (typeof json !== 'string') return [];
  try {
    return historySchema.parse(JSON.parse(json));
  } catch {
    return []; // Only our own bookkeeping is lost with it.
  }
}

function whole(header: unknown, max: number): number | undefined {
  return typeof header === 'number' && Number.isInteger(header) && header >= 0 && header <= max
    ? header
    : undefined;
}

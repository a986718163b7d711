/**
 * Failures that state their own consequence: the thrower decides whether a task is rejected (the sender's fault,
 * dead-lettered at once) or retried (a passing fault), so that no catcher needs a switch.
 */

import { capText } from './redact.ts';

/** Why a task failed, for programs; the message is for people. */
export type FailureType =
  | 'invalid-message'
  | 'invalid-task'
  | 'unknown-filter'
  | 'invalid-params'
  | 'input-not-found'
  | 'input-forbidden'
  | 'not-an-image'
  | 'limit-exceeded'
  | 'task-id-reused'
  | 'filter-failed'
  | 'timeout'
  | 'memory'
  | 'child-lost'
  | 'storage'
  | 'network'
  | 'poison'
  | 'cancelled';

interface FailureOptions extends ErrorOptions {
  failureType: FailureType;
}

/**
 * A failure of one task, with its consequence. Its message can be shown anywhere: it has no secrets and a bounded
 * length. Throw {@link Rejection} or {@link Retryable}.
 */
export abstract class TaskFailure extends Error {
  abstract readonly consequence: 'reject' | 'retry';
  readonly failureType: FailureType;

  constructor(message: string, { failureType, ...options }: FailureOptions) {
    super(capText(message), options);
    this.name = new.target.name;
    this.failureType = failureType;
  }
}

/** The sender's fault: trying again cannot help, so the task is dead-lettered at once. */
export class Rejection extends TaskFailure {
  readonly consequence = 'reject';
}

/** A passing fault (storage, network, a lost child): the task is tried again later. */
export class Retryable extends TaskFailure {
  readonly consequence = 'retry';
}

/** A user's mistake: shown as one clear message, without a stack trace, exit code 2. */
export class UserError extends Error {
  override readonly name = 'UserError';
}

/** Anything thrown, as an Error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

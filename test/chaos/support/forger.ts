/** Messages that pass for Darkroom's own: headers that only its workers may write, from somebody who may only publish. */
import type { PublishProperties } from '../../../runtime/amqp/broker.ts';
import { hopHeaders } from '../../../runtime/task/hop.ts';
import { parseTask } from '../../../runtime/task/task.ts';
import type { Assignment } from './audited-installation.ts';
import type { Random } from './random.ts';

export class Forger {
  /** How many messages it has forged. */
  forged = 0;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The same task once more, said to stand somewhere else. */
  repeatOf(assignment: Assignment): Assignment {
    return { ...assignment, properties: this.#claims(assignment) };
  }

  /** A task of its own that passes for a later step of a victim. */
  impostor(assignment: Assignment, victim: Assignment): Assignment {
    const { id: _, ...task } = assignment.task as { id: string };
    const properties = { ...this.#claims(victim), messageId: assignment.id };
    return { ...assignment, task, properties };
  }

  /** The very headers that a worker would send on with the task. */
  #claims({ task: written }: Assignment): PublishProperties {
    this.forged++;
    const { integer, next } = this.#random;
    const body = Buffer.from(JSON.stringify(written));
    const { task, hop } = parseTask({ body, properties: {}, headers: {} }, 'none');
    const headers = hopHeaders(task, {
      ...hop,
      step: integer(1, task.steps.length - 1),
      attempt: integer(0, 10),
      generation: integer(0, 2),
      restarts: integer(0, 10),
      wasGivenBack: true,
      isSuspect: true,
      publishedMs: 1,
      submittedMs: 1,
      seenMs: 1,
      firstFailedMs: 1,
      history: [{ filter: 'forged', attempt: 0, queue_ms: 1, work_ms: 1 }],
    });
    // Without a user's name, or with the forger's own: RabbitMQ takes no other.
    return {
      headers: { ...headers, 'x-delivery-count': 1_000 },
      ...(next() < 0.5 && { userId: undefined }),
    };
  }
}

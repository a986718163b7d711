/** Queues that take a message or two, and refuse more until they are let go. */
import type { RabbitNode } from '../../../runtime/cli/local-broker/start-rabbitmq.ts';
import { until } from '../../support/until.ts';
import type { AuditedInstallation } from './audited-installation.ts';

const POLICY = 'chaos-full-queues';
const DEFINITION = JSON.stringify({ 'max-length': 1, overflow: 'reject-publish' });

export class FullQueues implements AsyncDisposable {
  readonly #node: RabbitNode;
  #isLimited = true;

  /** They must have been declared; what fills them comes from whoever publishes next. */
  static async limit(node: RabbitNode, queues: readonly string[]): Promise<FullQueues> {
    const pattern = `^(${queues.join('|')})$`.replaceAll('.', '\\.');
    await node.ctl('set_policy', POLICY, pattern, DEFINITION, '--apply-to', 'queues');
    return new FullQueues(node);
  }

  constructor(node: RabbitNode) {
    this.#node = node;
  }

  async letGo(): Promise<void> {
    if (!this.#isLimited) return;
    this.#isLimited = false;
    await this.#node.ctl('clear_policy', POLICY);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.letGo();
  }
}

/** Publishes into the queue until it refuses. */
export async function fill({ broker }: AuditedInstallation, queue: string): Promise<void> {
  const filler = { exchange: '', routingKey: queue, body: Buffer.from('filler') };
  const isRefused = () =>
    broker.publish(filler).then(
      () => false,
      () => true,
    );
  await until(isRefused, `${queue} to refuse messages`);
}

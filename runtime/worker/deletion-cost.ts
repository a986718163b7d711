/**
 * Tells Kubernetes which pods are busy, so that scale-in takes idle ones first: the annotation
 * `controller.kubernetes.io/pod-deletion-cost`, written when a pod's tasks become more or fewer and stay so a moment.
 */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import type { Logger } from 'pino';
import { asError } from '../errors.ts';

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
/** The API server is spared: a pod's state is told at most this often. */
const MIN_INTERVAL_MS = 5_000;
const REQUEST_TIMEOUT_MS = 5_000;
/** For each task in hand. */
const TASK_COST = 1_000;

export interface PodIdentity {
  deletionCost: boolean;
  name: string | undefined;
  namespace: string | undefined;
}

/** Sends the annotation; rejects with a reason in words. */
export type AnnotatePod = (pod: { name: string; namespace: string }, cost: string) => Promise<void>;

/** @returns undefined where the pod is not to be marked, or cannot be */
export function deletionCostOf(
  { deletionCost, name, namespace }: PodIdentity,
  log: Logger,
  annotate: AnnotatePod = patchPod,
): DeletionCost | undefined {
  if (!deletionCost) return undefined;
  if (name !== undefined && namespace !== undefined)
    return new DeletionCost({ name, namespace }, log, annotate);
  log.warn('POD_DELETION_COST is on, but POD_NAME or POD_NAMESPACE is not set; busy pods cannot be marked');
  return undefined;
}

export class DeletionCost {
  readonly #pod: { name: string; namespace: string };
  readonly #log: Logger;
  readonly #annotate: AnnotatePod;
  #inHand = 0;
  #told: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #telling = Promise.resolve();

  constructor(pod: { name: string; namespace: string }, log: Logger, annotate: AnnotatePod) {
    this.#pod = pod;
    this.#log = log;
    this.#annotate = annotate;
  }

  /** A task was taken, or the one in hand ended. */
  busy(busy: boolean): void {
    this.#inHand += busy ? 1 : -1;
    this.#timer ??= setTimeout(() => {
      this.#telling = this.#tell();
    }, MIN_INTERVAL_MS);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#telling;
  }

  async #tell(): Promise<void> {
    this.#timer = undefined;
    const cost = String(this.#inHand * TASK_COST);
    if (cost === this.#told) return;
    try {
      await this.#annotate(this.#pod, cost);
      this.#told = cost;
    } catch (error) {
      this.#log.warn({ err: asError(error) }, 'the pod could not be marked; scale-in may choose a busy one');
    }
  }
}

function patchPod({ name, namespace }: { name: string; namespace: string }, cost: string): Promise<void> {
  const body = JSON.stringify({
    metadata: { annotations: { 'controller.kubernetes.io/pod-deletion-cost': cost } },
  });
  return new Promise((resolve, reject) => {
    const patch = request(
      {
        host: process.env.KUBERNETES_SERVICE_HOST,
        port: process.env.KUBERNETES_SERVICE_PORT ?? 443,
        method: 'PATCH',
        path: `/api/v1/namespaces/${namespace}/pods/${name}`,
        // Both are rotated, so they are read each time.
        ca: readFileSync(`${SERVICE_ACCOUNT}/ca.crt`),
        headers: {
          authorization: `Bearer ${readFileSync(`${SERVICE_ACCOUNT}/token`, 'utf8').trim()}`,
          'content-type': 'application/merge-patch+json',
        },
        timeout: REQUEST_TIMEOUT_MS,
      },
      (response) => {
        response.resume();
        if (response.statusCode === 200) resolve();
        else
          reject(
            new Error(
              `PATCH of the pod answered ${response.statusCode}; may the service account patch pods?`,
            ),
          );
      },
    );
    patch.on('timeout', () => patch.destroy(new Error('the Kubernetes API did not answer')));
    patch.on('error', reject);
    patch.end(body);
  });
}

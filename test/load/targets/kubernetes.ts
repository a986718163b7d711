/** Reads how many workers a cluster runs from the chart's Deployments, through kubectl. */
import { asError, UserError } from '../../../runtime/errors.ts';
import { runTool } from '../../support/kube-tools.ts';
import type { Remark, Replicas } from '../targets.ts';

export interface ClusterOptions {
  /** Default: the kubeconfig's current one. */
  namespace?: string | undefined;
  context?: string | undefined;
  /** Default: the one that `KUBECTL` names, on the PATH, or from npm. */
  kubectl?: string | undefined;
}

export interface Deployments {
  /** Where they are, in words. */
  about: string;
  /** Of every filter that the chart runs; undefined while the API does not answer. */
  read(): Promise<Map<string, Replicas> | undefined>;
  remarks: readonly Remark[];
}

/** The chart's Deployments of workers; each names its filter in a label. */
const SELECTOR = 'app.kubernetes.io/part-of=darkroom,darkroom.filter';
export const FILTER_LABEL = 'darkroom.filter';
const TIMEOUT_MS = 10_000;

/** @throws UserError when the cluster cannot be asked, or runs no worker of the chart */
export async function openDeployments(options: ClusterOptions): Promise<Deployments> {
  const where = [
    ...(options.namespace === undefined ? [] : ['--namespace', options.namespace]),
    ...(options.context === undefined ? [] : ['--context', options.context]),
  ];
  const get = () =>
    runTool('kubectl', [...where, 'get', 'deployments', '--selector', SELECTOR, '--output', 'json'], {
      program: options.kubectl,
      timeoutMs: TIMEOUT_MS,
    });
  const remarks: Remark[] = [];
  let found: Map<string, Replicas>;
  try {
    found = replicasIn(await get());
  } catch (error) {
    throw new UserError(
      `The cluster cannot be asked for its workers: ${reasonOf(error)}\n--target cluster needs a kubeconfig that may list deployments; --target broker needs none.`,
      { cause: error },
    );
  }
  if (found.size === 0)
    throw new UserError(
      `No Deployment with the labels ${SELECTOR} in ${placeOf(options)}: is the chart installed there? --namespace says where to look.`,
    );
  return {
    about: placeOf(options),
    remarks,
    async read() {
      try {
        return replicasIn(await get());
      } catch (error) {
        remarks.push({ atMs: Date.now(), text: `the Kubernetes API did not answer: ${reasonOf(error)}` });
        return undefined;
      }
    },
  };
}

interface DeploymentList {
  items: {
    metadata: { labels?: Record<string, string> };
    spec: { replicas?: number };
    status?: { replicas?: number };
  }[];
}

/** What `kubectl get deployments -o json` says. Two releases' workers of one filter count together. */
export function replicasIn(json: string): Map<string, Replicas> {
  const replicas = new Map<string, Replicas>();
  for (const { metadata, spec, status } of (JSON.parse(json) as DeploymentList).items) {
    const filter = metadata.labels?.[FILTER_LABEL];
    if (filter === undefined) continue;
    const before = replicas.get(filter) ?? { wanted: 0, running: 0 };
    replicas.set(filter, {
      wanted: before.wanted + (spec.replicas ?? 1),
      running: before.running + (status?.replicas ?? 0),
    });
  }
  return replicas;
}

function placeOf({ namespace, context }: ClusterOptions): string {
  const space = namespace === undefined ? "the kubeconfig's namespace" : `namespace ${namespace}`;
  return context === undefined ? space : `${space}, context ${context}`;
}

/** What kubectl said, in one line. */
function reasonOf(error: unknown): string {
  const { message, code } = asError(error) as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no kubectl';
  const stderr = (error as { stderr?: string }).stderr?.trim();
  return (stderr || message).split('\n')[0] ?? message;
}

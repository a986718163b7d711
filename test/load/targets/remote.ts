/** Workers that run elsewhere: someone else's on the broker at AMQP_URL, or a cluster's. */
import { type ScalingSettings, settingsFromValues } from '../../../keda/model.ts';
import type { Values } from '../../../keda/values.ts';
import { UserError } from '../../../runtime/errors.ts';
import { redactUrl } from '../../../runtime/redact.ts';
import { Installation } from '../../support/installation.ts';
import type { Target } from '../targets.ts';
import { type ClusterOptions, openDeployments } from './kubernetes.ts';

/** Nobody says how these workers are scaled, so their number is what consumes the queues. */
export async function openRemote(): Promise<Target> {
  const installation = new Installation({ existing: true });
  await installation.open(installation.config.amqp.connectTimeoutMs);
  await installation.declare();
  return {
    kind: 'broker',
    about: `the workers of ${redactUrl(installation.config.amqp.url)}`,
    installation,
    speed: 1,
    loopMs: 0,
    settings: () => undefined,
    replicas: async () => undefined,
    remarks: [],
    [Symbol.asyncDispose]: () => installation[Symbol.asyncDispose](),
  };
}

/** The chart's workers. `values` are those the release was installed with; the prediction goes by them. */
export async function openClusterTarget(values: Values, options: ClusterOptions): Promise<Target> {
  const deployments = await openDeployments(options);
  return {
    ...(await openRemote()),
    kind: 'cluster',
    about: `the chart's workers, ${deployments.about}`,
    settings: (filter) => knownSettings(values, filter),
    replicas: deployments.read,
    remarks: deployments.remarks,
  };
}

/** A filter that is scaled otherwise, or not in the values, has no prediction. */
function knownSettings(values: Values, filter: string): ScalingSettings | undefined {
  try {
    return settingsFromValues(values, filter);
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

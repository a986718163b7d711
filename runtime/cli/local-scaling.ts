/** Workers on this machine, scaled from zero on queue length as on a cluster: for `up`, the demo and load tests. */
import { fileURLToPath } from 'node:url';
import { Autoscaler } from '../../keda/autoscaler.ts';
import { settingsFromValues } from '../../keda/model.ts';
import type { ScaledFunction, WorkersView } from '../../keda/scaled-workers.ts';
import { functionValues, type Values } from '../../keda/values.ts';
import { type Broker, openBroker } from '../amqp/broker.ts';
import { inspectQueue, names } from '../amqp/topology.ts';
import { type Config, readConfig } from '../config.ts';
import { parentBinding } from '../worker/parent-death.ts';
import { ManagementClient } from './management.ts';
import { declareAll, SILENT_LOG } from './session.ts';
import { escapeControls } from './terminal-text.ts';

const LAUNCHER = fileURLToPath(new URL('./darkroom.mjs', import.meta.url));

export interface LocalScalingOptions {
  functions: readonly ScaledFunction[];
  /** Broker and storage, for the workers too. */
  env: NodeJS.ProcessEnv;
  /** How much faster than on a cluster scaling decides. */
  speed: number;
  log(text: string): void;
}

export class LocalScaling {
  readonly #broker: Broker;
  readonly #autoscaler: Autoscaler;

  /** Declares the queues of a broker that is there, and scales from then on. */
  static async start({ functions, env, speed, log }: LocalScalingOptions): Promise<LocalScaling> {
    const config = readConfig(env);
    const broker = openBroker({ ...config.amqp, name: 'darkroom up', log: SILENT_LOG });
    try {
      await broker.ready(AbortSignal.timeout(config.amqp.connectTimeoutMs));
      await declareAll(broker, config);
    } catch (error) {
      await broker.close();
      throw error;
    }
    const autoscaler = new Autoscaler({
      functions,
      env,
      speed,
      observe: queueObserver(broker, config),
      workerCommand: (filter) => workerCommand(filter, env),
      log: ({ filter, text }) => log(escapeControls(`${filter}: ${text}`)),
    });
    return new LocalScaling(broker, autoscaler);
  }

  constructor(broker: Broker, autoscaler: Autoscaler) {
    this.#broker = broker;
    this.#autoscaler = autoscaler;
  }

  view(): WorkersView[] {
    return this.#autoscaler.view();
  }

  /** Every busy worker finishes its task; resolves when all processes are gone. */
  async stop(): Promise<void> {
    await this.#autoscaler.stop();
    await this.#broker.close();
  }
}

/** Ends with this process: at once where the kernel sees to it, else within moments. */
function workerCommand(filter: string, env: NodeJS.ProcessEnv): [string, ...string[]] {
  const [program = process.execPath, ...rest] = [...parentBinding(env), process.execPath];
  return [program, ...rest, LAUNCHER, 'worker', filter, '--port', '0', '--parent', String(process.pid)];
}

/**
 * A filter with at most so many workers. Slots and carrying that the environment states win over the values, for the count
 * of workers as for the workers.
 */
export function scaledFunction(values: Values, filter: string, maxWorkers: number): ScaledFunction {
  const settings = settingsFromValues(values, filter);
  const { slots = settings.slots } = readConfig();
  const { carry } = functionValues(values, filter);
  return {
    filter,
    settings: {
      ...settings,
      slots,
      maxReplicas: Math.max(1, Math.min(settings.maxReplicas, maxWorkers)),
      minReplicas: Math.min(settings.minReplicas, maxWorkers),
    },
    carry: typeof carry === 'string' && !process.env.CARRY ? carry : undefined,
  };
}

/**
 * The management API's counts are some seconds old, as they are for KEDA. What waits is asked for over AMQP too, so
 * that the first task does not wait for them.
 */
function queueObserver(broker: Broker, config: Config) {
  const at = names(config.prefix);
  const management = new ManagementClient(config.management);
  return async (filter: string) => {
    const queue = at.queue(filter);
    const [counted, now] = await Promise.all([
      management.queue(queue),
      broker.withChannel((channel) => inspectQueue(channel, queue)),
    ]);
    return { ready: Math.max(counted.ready, now.messages), unacked: counted.unacked };
  };
}

/** Workers on this machine, scaled from zero on queue length as on a cluster: for `up`, the demo and load tests. */
import { fileURLToPath } from 'node:url';
import { Autoscaler } from '../../keda/autoscaler.ts';
import type { ScalingSettings } from '../../keda/model.ts';
import type { ScaledFunction, WorkersView } from '../../keda/scaled-workers.ts';
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

/** The settings with at most so many workers. */
export function capReplicas(settings: ScalingSettings, most: number): ScalingSettings {
  return {
    ...settings,
    maxReplicas: Math.max(1, Math.min(settings.maxReplicas, most)),
    minReplicas: Math.min(settings.minReplicas, most),
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

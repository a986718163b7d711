/** Workers on this machine, from zero, scaled by the chart's values as `darkroom up` does. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LOOP_MS } from '../../../keda/autoscaler.ts';
import { type ScalingSettings, settingsFromValues } from '../../../keda/model.ts';
import type { Values } from '../../../keda/values.ts';
import { findBroker } from '../../../runtime/cli/broker.ts';
import { capReplicas, LocalScaling } from '../../../runtime/cli/local-scaling.ts';
import { deleteAll, withBroker } from '../../../runtime/cli/session.ts';
import { note } from '../../../runtime/cli/terminal.ts';
import { readConfig } from '../../../runtime/config.ts';
import type { Remark, Target } from '../targets.ts';

export interface LocalOptions {
  filters: string[];
  values: Values;
  speed: number;
  /** At most so many workers a filter, whatever the values say. */
  maxWorkers: number;
}

/** A broker found or started, names and a storage of its own; all of it is gone when disposed of. */
export async function openLocal({ filters, values, speed, maxWorkers }: LocalOptions): Promise<Target> {
  const settings = new Map(
    filters.map((filter) => [filter, capReplicas(settingsFromValues(values, filter), maxWorkers)]),
  );
  const broker = await findBroker({ onProgress: note, allowInstall: true });
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-load-'));
  await mkdir(join(folder, 'storage'));
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ...broker.env,
    DARKROOM_PREFIX: `load-${randomBytes(4).toString('hex')}`,
    STORAGE_URL: pathToFileURL(join(folder, 'storage')).href,
  };
  const remarks: Remark[] = [];
  let started: LocalScaling | undefined;
  const dispose = async () => {
    await started?.stop();
    await removeQueues(env).catch(() => {}); // The broker may be gone already; it was found, not made, or ends now.
    await broker.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    started = await LocalScaling.start({
      functions: filters.map((filter) => ({ filter, settings: settings.get(filter) as ScalingSettings })),
      env,
      speed,
      log: (text) => remarks.push({ atMs: Date.now(), text }),
    });
  } catch (error) {
    await dispose();
    throw error;
  }
  const scaling = started;
  return {
    kind: 'local',
    about: `workers on this machine, at most ${maxWorkers} a filter${speed === 1 ? '' : `, scaling ${speed} times faster`}`,
    env,
    speed,
    loopMs: LOOP_MS,
    settings: (filter) => settings.get(filter),
    replicas: async () =>
      new Map(scaling.view().map(({ filter, wanted, running }) => [filter, { wanted, running }])),
    remarks,
    [Symbol.asyncDispose]: dispose,
  };
}

/** A broker that was running already is left as it was found. */
async function removeQueues(env: NodeJS.ProcessEnv): Promise<void> {
  const config = readConfig(env);
  await withBroker(config, (broker) => deleteAll(broker, config));
}

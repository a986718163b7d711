/** Workers on this machine, from zero, scaled by the chart's values as `darkroom up` does. */
import { LOOP_MS } from '../../../keda/autoscaler.ts';
import type { Values } from '../../../keda/values.ts';
import { findBroker } from '../../../runtime/cli/broker.ts';
import { LocalScaling, scaledFunction } from '../../../runtime/cli/local-scaling.ts';
import { note } from '../../../runtime/cli/terminal.ts';
import { Installation } from '../../support/installation.ts';
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
  const functions = filters.map((filter) => scaledFunction(values, filter, maxWorkers));
  await using stack = new AsyncDisposableStack();
  const broker = await findBroker({ onProgress: note, allowInstall: true });
  stack.defer(() => broker.stop());
  const installation = new Installation({ env: broker.env, word: 'load' });
  // The broker may be gone before we are.
  stack.defer(() => installation[Symbol.asyncDispose]().catch(() => {}));
  await installation.open();
  const remarks: Remark[] = [];
  const log = (text: string) => remarks.push({ atMs: Date.now(), text });
  const scaling = await LocalScaling.start({ functions, env: installation.env, speed, log });
  stack.defer(() => scaling.stop());
  const opened = stack.move();
  return {
    kind: 'local',
    about: `workers on this machine, at most ${maxWorkers} a filter${speed === 1 ? '' : `, scaling ${speed} times faster`}`,
    installation,
    speed,
    loopMs: LOOP_MS,
    settings: (wanted) => functions.find(({ filter }) => filter === wanted)?.settings,
    replicas: async () =>
      new Map(scaling.view().map(({ filter, wanted, running }) => [filter, { wanted, running }])),
    remarks,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

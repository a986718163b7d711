/** Keeps tasks flowing while something else happens: new ones are submitted as others end. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditedInstallation } from './audited-installation.ts';
import type { Random } from './random.ts';
import { makeTasks, type TaskKind } from './tasks.ts';

export interface Pump {
  /** Submits no more; resolves when what was on its way is confirmed. */
  stop(): Promise<void>;
}

const POLL_MS = 50;

/** Holds the number of tasks without an outcome at `open`. */
export function startPump(
  installation: AuditedInstallation,
  kinds: TaskKind[],
  random: Random,
  open: number,
): Pump {
  let pumping = true;
  let batch = 0;
  const done = run();

  async function run() {
    while (pumping) {
      const missing = open - installation.ledger.open;
      if (missing > 0) await installation.submit(makeTasks(`pump-${batch++}`, missing, kinds, random));
      await sleep(POLL_MS);
    }
  }

  return {
    async stop() {
      pumping = false;
      await done;
    },
  };
}

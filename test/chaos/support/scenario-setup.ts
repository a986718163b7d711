/** What most scenarios begin with: an installation, the kinds of task, and workers that are ready for them. */
import {
  type AuditedInstallation,
  type AuditedInstallationOptions,
  openAuditedInstallation,
} from './audited-installation.ts';
import type { Random } from './random.ts';
import { FILTERS, prepareTaskKinds, type TaskKind } from './tasks.ts';
import type { WorkerProcesses } from './worker-processes.ts';

export interface ScenarioSetup extends AsyncDisposable {
  installation: AuditedInstallation;
  workers: WorkerProcesses;
  kinds: TaskKind[];
}

/** `perFilter` workers for each of the three filters; ready when this resolves. */
export async function setUpScenario(
  options: AuditedInstallationOptions,
  random: Random,
  perFilter = 1,
): Promise<ScenarioSetup> {
  const installation = await openAuditedInstallation(options);
  const dispose = () => installation[Symbol.asyncDispose]();
  try {
    const kinds = await prepareTaskKinds(installation, random);
    const workers = installation.supervise(oneFilterEach(perFilter));
    await workers.ready();
    return { installation, workers, kinds, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

export function oneFilterEach(perFilter: number) {
  return Array.from({ length: perFilter }, () => FILTERS.map((filter) => ({ filters: [filter] }))).flat();
}

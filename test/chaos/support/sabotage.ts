/** What a run suffers beside its deaths: every tenth message is forged, every tenth marker and intermediate damaged. */
import type { Assignment, AuditedInstallation } from './audited-installation.ts';
import { Forger } from './forger.ts';
import type { Random } from './random.ts';
import { Vandal } from './vandal.ts';

/** Of each kind of forgery, for the tasks submitted: together a tenth. */
export const FORGED_SHARE = 1 / 20;
const BATCH = 500;

export class Sabotage {
  readonly #installation: AuditedInstallation;
  readonly #random: Random;
  readonly #forger: Forger;
  readonly #vandal: Vandal;
  readonly #tasks = new Map<string, Assignment>();
  readonly #lateRepeats: Promise<void>[] = [];

  constructor(installation: AuditedInstallation, random: Random) {
    this.#installation = installation;
    this.#random = random;
    this.#forger = new Forger(random);
    this.#vandal = new Vandal(installation, random, (id) => this.#repeat(id));
  }

  async start(): Promise<void> {
    await this.#vandal.start();
  }

  /** Submits the tasks; among them forged repeats of some, and the impostors, which pass for steps of others. */
  async submit(assignments: Assignment[], impostors: Assignment[]): Promise<void> {
    for (const assignment of assignments) this.#tasks.set(assignment.id, assignment);
    for (let start = 0; start < assignments.length; start += BATCH) {
      const batch = assignments.slice(start, start + BATCH);
      const share = (list: number) => Math.ceil(list * FORGED_SHARE);
      const forged = impostors
        .slice(share(start), share(start + BATCH))
        .map((impostor) => this.#forger.impostor(impostor, this.#random.pick(batch)));
      const repeats = this.#random.shuffle(batch).slice(0, share(batch.length));
      await Promise.all([
        this.#installation.submit(this.#random.shuffle([...batch, ...forged])),
        ...repeats.map((victim) => this.#installation.repeat(this.#forger.repeatOf(victim))),
      ]);
    }
  }

  /** @returns what was done, and what was not */
  async stop(): Promise<{ notes: string[]; faults: string[] }> {
    await this.#vandal.stop();
    await Promise.all(this.#lateRepeats);
    const { forged } = this.#forger;
    const { markers, intermediates } = this.#vandal.damaged;
    const tenth = Math.floor(this.#tasks.size / 10);
    return {
      notes: [
        `${forged} messages forged; ${markers} markers and ${intermediates} images between steps damaged`,
      ],
      faults: [
        ...(forged < tenth ? [`only ${forged} messages were forged`] : []),
        ...(markers < tenth ? [`only ${markers} markers were damaged`] : []),
        ...(intermediates === 0 ? ['no image between two steps was damaged'] : []),
      ],
    };
  }

  /** The marker of this task was damaged; now its work is asked for again, by somebody who passes for a worker. */
  #repeat(id: string): void {
    const task = this.#tasks.get(id);
    if (task !== undefined) this.#lateRepeats.push(this.#installation.repeat(this.#forger.repeatOf(task)));
  }
}

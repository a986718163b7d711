/** Damages what Darkroom keeps for itself in the storage: cuts it off, empties it, or turns one bit. */
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { intermediatesFolder, markerKey } from '../../../runtime/task/task-marker.ts';
import { eventMessageOf } from '../../support/task-events.ts';
import type { AuditedInstallation } from './audited-installation.ts';
import type { Random } from './random.ts';

/** Of all that is made, one in so many is damaged. */
const ONE_IN = 10;

type Kind = 'markers' | 'intermediates';

export class Vandal {
  readonly damaged: Record<Kind, number> = { markers: 0, intermediates: 0 };
  readonly #installation: AuditedInstallation;
  readonly #random: Random;
  readonly #onMarker: (id: string) => void;
  readonly #made: Record<Kind, number> = { markers: 0, intermediates: 0 };
  /** Each key is damaged once, for a task is started again only so often. */
  readonly #spent = new Set<string>();
  #isOver = false;
  #done = Promise.resolve();

  /** @param onMarker told of each task whose marker was damaged */
  constructor(installation: AuditedInstallation, random: Random, onMarker: (id: string) => void) {
    this.#installation = installation;
    this.#random = random;
    this.#onMarker = onMarker;
  }

  /** Follows the events, which say what has just been stored. */
  async start(): Promise<void> {
    const keys = ['task.step-completed', 'task.completed'];
    await this.#installation.watch(this.#installation.names.events, keys, ({ routingKey, body }) => {
      const { subject, data } = eventMessageOf(routingKey, body);
      const kind = routingKey === 'task.completed' ? 'markers' : 'intermediates';
      this.#made[kind]++;
      this.#done = this.#done.then(() => this.#visit(kind, subject, Number(data.step)));
    });
  }

  /** Resolves when nothing is being damaged any more. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #visit(kind: Kind, id: string, step: number): Promise<void> {
    if (this.#isOver || this.damaged[kind] >= this.#made[kind] / ONE_IN) return;
    const key = kind === 'markers' ? markerKey(id, 0) : await this.#intermediateKey(id, step);
    if (key === undefined || this.#spent.has(key)) return;
    if (!(await this.#damage(key))) return;
    this.#spent.add(key);
    this.damaged[kind]++;
    if (kind === 'markers') this.#onMarker(id);
  }

  /** Undefined when the next step has taken it already, and the task is over. */
  async #intermediateKey(id: string, step: number): Promise<string | undefined> {
    const folder = intermediatesFolder(id);
    const names = await readdir(join(this.#installation.folder, folder)).catch(() => []);
    const name = names.find((each) => each.endsWith(`-step-${step}`));
    return name === undefined ? undefined : `${folder}/${name}`;
  }

  /** @returns false when it is gone meanwhile */
  async #damage(key: string): Promise<boolean> {
    const file = await open(join(this.#installation.folder, key), 'r+').catch(() => undefined);
    if (file === undefined) return false;
    await using _ = file;
    const { size } = await file.stat();
    const how = this.#random.pick(['cut', 'empty', 'turn'] as const);
    if (how === 'turn') await this.#turnBit(file, this.#random.integer(0, size - 1));
    else await file.truncate(how === 'empty' ? 0 : this.#random.integer(1, size - 1));
    return true;
  }

  async #turnBit(file: FileHandle, at: number): Promise<void> {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    byte[0]! ^= 1 << this.#random.integer(0, 7);
    await file.write(byte, 0, 1, at);
  }
}

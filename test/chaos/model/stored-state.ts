/** What somebody else does to the storage during a schedule: cancels tasks, damages what the runtime keeps. */
import { createHash } from 'node:crypto';
import { pathName, type TaskMarker, writeMarker } from '../../../runtime/task/task-marker.ts';
import type { Objects } from './storage.ts';
import type { Choices } from './virtual-time.ts';

export class StoredState {
  readonly #objects: Objects;
  readonly #damaged = new Set<string>();

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /** As `darkroom cancel` does. @returns false when the task had ended before */
  cancel(id: string): boolean {
    let written = false;
    const marker: TaskMarker = {
      task_id: id,
      generation: 0,
      fingerprint: '',
      outcome: 'cancelled',
      time: '',
      data: {},
    };
    const storage = {
      write: async (key: string, bytes: Uint8Array) => {
        written = !this.#objects.has(key);
        if (written) this.#objects.set(key, Buffer.from(bytes));
        return true;
      },
    };
    void writeMarker(storage as never, marker);
    return written;
  }

  /** Cuts off or alters one of the runtime's own objects. @returns false when there is none */
  damage(choices: Choices): boolean {
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith('.darkroom/'));
    const key = keys[choices.pick(Math.max(1, keys.length))];
    if (key === undefined) return false;
    const bytes = this.#objects.get(key)!;
    const at = choices.pick(Math.max(1, bytes.length));
    const altered = Buffer.from(bytes.map((byte, index) => (index === at ? byte ^ 1 : byte)));
    this.#objects.set(key, choices.pick(2) === 0 ? bytes.subarray(0, at) : altered);
    this.#damaged.add(key);
    return true;
  }

  /** Whether anything of the task was damaged at any time. */
  wasDamaged(id: string): boolean {
    return [...this.#damaged].some((key) => key.includes(`/${pathName(id)}`));
  }

  sha256(key: string): string | undefined {
    const bytes = this.#objects.get(key);
    return bytes && createHash('sha256').update(bytes).digest('hex');
  }
}

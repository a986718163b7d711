/**
 * Places where a worker can be made to die, for the fault tests: with `DARKROOM_FAILPOINT=<name>@<folder>` each
 * file in the folder buys one death at that point. Without the variable a failpoint costs one comparison.
 */
import { readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

/** In the order in which a step passes them. */
export type Failpoint =
  | 'received'
  | 'fetched'
  | 'storing'
  /** All of the result is in the storage but not under its key, with or without the marker. */
  | 'staged'
  | 'marked'
  | 'stored'
  | 'publishing'
  /** On its way to the broker, which has not confirmed yet. */
  | 'sent'
  | 'confirmed'
  | 'acked';

const [armed, folder] = process.env.DARKROOM_FAILPOINT?.split('@') ?? [];

export function failpoint(name: Failpoint): void {
  if (armed !== name || folder === undefined) return;
  for (const token of readdirSync(folder)) {
    if (!claim(join(folder, token))) continue;
    if (process.send !== undefined) process.kill(process.ppid, 'SIGKILL');
    process.kill(process.pid, 'SIGKILL');
  }
}

/** Of several processes only one gets a token. */
function claim(token: string): boolean {
  try {
    unlinkSync(token);
    return true;
  } catch {
    return false;
  }
}

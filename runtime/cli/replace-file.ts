/** Writes a file of the user's whole or not at all, and leaves nothing beside it. */
import { rmSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { withCleanUp } from './signals.ts';

export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  const remove = () => rmSync(temporary, { force: true });
  await withCleanUp(async () => {
    try {
      await writeFile(temporary, bytes);
      await rename(temporary, path);
    } catch (error) {
      remove();
      throw error;
    }
  }, remove);
}

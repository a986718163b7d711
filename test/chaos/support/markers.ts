/** The markers in an installation's storage, one by one. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openStorage } from '../../../runtime/storage/open.ts';
import { ENDED_FOLDER, inspectMarker, type TaskMarker } from '../../../runtime/task/task-marker.ts';
import type { AuditedInstallation } from './audited-installation.ts';

/** Each must be one that Darkroom itself can read, at the place where it looks for it. */
export async function inspectMarkers({
  folder,
}: AuditedInstallation): Promise<{ markers: number; faults: string[] }> {
  const storage = await openStorage(`file://${folder}`);
  const entries = await readdir(join(folder, ENDED_FOLDER), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const faults: string[] = [];
  for (const file of files) {
    try {
      const { task_id, generation } = JSON.parse(await readFile(file, 'utf8')) as TaskMarker;
      if ((await inspectMarker(storage, task_id, generation)) === undefined)
        faults.push(`the marker ${file} is not where "${task_id}" has its own`);
    } catch (error) {
      faults.push(`the marker ${file} cannot be read: ${String(error)}`);
    }
  }
  return { markers: files.length, faults };
}

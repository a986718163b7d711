/** Tasks of one step that takes a chosen time, and leaves the image as it was. */
import { fileURLToPath } from 'node:url';
import { flatPng } from '../../support/pictures.ts';
import type { Assignment, AuditedInstallation } from './audited-installation.ts';
import { renderAll } from './expected.ts';

/** Filters that are slow or broken on purpose. */
export const BAD_FUNCTIONS = fileURLToPath(new URL('../../fixtures/functions', import.meta.url));

export type MakeSleeper = (id: string, ms: number) => Assignment;

/** The installation's workers need {@link BAD_FUNCTIONS} as their FUNCTIONS_DIR. */
export async function prepareSleepers(installation: AuditedInstallation): Promise<MakeSleeper> {
  const photo = await flatPng(8, 6, '#a03020');
  await installation.put('photo.png', photo);
  const output = { format: 'png' };
  const steps = (ms: number) => [{ filter: 'sleep', params: { ms } }];
  const bytes = await renderAll(photo, { steps: steps(0), output }, BAD_FUNCTIONS);
  return (id, ms) => ({ id, bytes, task: { id, input: 'photo.png', steps: steps(ms), output } });
}

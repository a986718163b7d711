/** A values file for `darkroom up`. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One worker of one filter, from zero, as soon as there is work. */
export async function upValues(folder: string, filter: string): Promise<string> {
  const file = join(folder, 'values.yaml');
  const scaling =
    '{ minReplicas: 0, maxReplicas: 1, messagesPerReplica: 1, pollingInterval: 5, cooldownPeriod: 60 }';
  await writeFile(file, `defaults:\n  scaling: ${scaling}\nfunctions:\n  ${filter}: {}\n`);
  return file;
}

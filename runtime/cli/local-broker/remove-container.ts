/** Removes a container by name, for a process that died: the engine may still be making it, and nobody waits for it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { removeContainer } from './docker-engine.ts';

const ATTEMPTS = 10;
const PAUSE_MS = 1_000;

const name = process.argv[2] ?? '';
for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
  if (await removeContainer(name).catch(() => false)) break;
  await sleep(PAUSE_MS);
}

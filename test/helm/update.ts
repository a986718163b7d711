/** `npm run manifests`: writes the golden renders and keda/manifests anew from the chart. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { GOLDEN, MANIFESTS } from './generated.ts';

for (const { path, text } of [...GOLDEN, ...MANIFESTS]) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, await text());
  console.log(`wrote ${relative('.', path)}`);
}

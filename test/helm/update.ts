/** `npm run manifests`: writes the golden renders, keda/manifests and the table of values in helm/README.md anew from the chart. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { GOLDEN, MANIFESTS, README } from './generated.ts';

for (const file of [...GOLDEN, ...MANIFESTS, README]) {
  await mkdir(dirname(file.path), { recursive: true });
  await writeFile(file.path, await file.text());
  console.log(`wrote ${relative('.', file.path)}`);
}

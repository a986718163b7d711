/** `npm run manifests`: writes what is made from the chart anew. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { GOLDEN, MANIFESTS, README } from './generated.ts';

const HELP = `npm run manifests

Writes anew from the chart: the golden renders in test/helm/golden, keda/manifests and the table of values in
helm/README.md.`;

if (process.argv.includes('--help')) {
  console.log(HELP);
  process.exit();
}
for (const file of [...GOLDEN, ...MANIFESTS, README]) {
  await mkdir(dirname(file.path), { recursive: true });
  await writeFile(file.path, await file.text());
  console.log(`wrote ${relative('.', file.path)}`);
}

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SOURCES = path.join(ROOT, 'functions/kernels/wasm');

it('ships what its sources compile to', async () => {
  await using folder = await temporaryFolder();
  const compiler = path.join(ROOT, 'node_modules/assemblyscript/bin/asc.js');
  const outFile = path.join(folder.path, 'kernels.wasm');

  const args = [compiler, '--config', 'asconfig.json', '--outFile', path.relative(SOURCES, outFile)];
  await promisify(execFile)(process.execPath, args, { cwd: SOURCES });

  expect(await readFile(outFile)).toEqual(await readFile(path.join(SOURCES, 'kernels.wasm')));
});

import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GOLDEN } from './generated.ts';

describe('golden renders', () => {
  it.each(GOLDEN.map((file) => [basename(file.path), file] as const))(
    '%s is what the chart renders (npm run manifests writes it anew)',
    async (_name, { path, text }) => {
      expect(await text()).toBe(await readFile(path, 'utf8'));
    },
  );
});

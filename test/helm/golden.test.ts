import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GOLDEN, README } from './generated.ts';

/** Each switch is a render of its own, and a busy machine takes seconds for one. */
const ALL_RENDERS_MS = 180_000;

describe('golden renders', () => {
  it.each(GOLDEN.map((file) => [basename(file.path), file] as const))(
    '%s is what the chart renders (npm run manifests writes it anew)',
    async (_name, { path, text }) => {
      expect(await text()).toBe(await readFile(path, 'utf8'));
    },
    ALL_RENDERS_MS,
  );
});

describe('helm/README.md', () => {
  it('lists every value with its default (npm run manifests writes the table anew)', async () => {
    expect(await README.text()).toBe(await readFile(README.path, 'utf8'));
  });
});

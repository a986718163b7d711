/** The README promises; these hold it to its word. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { VARIABLE_NAMES } from '../runtime/config.ts';
import { listFunctions } from '../runtime/functions.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

describe('the README', () => {
  it('lists every variable of the configuration, and no other', () => {
    const table = readme.slice(readme.indexOf('## Configuration'), readme.indexOf('## On a cluster'));
    const rows = table.split('\n').filter((line) => /^\| `[A-Z]/.test(line));
    const listed = rows.flatMap((row) => row.split('|')[1]!.match(/[A-Z][A-Z_0-9]+/g) ?? []);

    expect(listed.filter((name) => !name.startsWith('OTEL_')).sort()).toEqual([...VARIABLE_NAMES].sort());
  });

  it('names every filter', () => {
    const table = readme.slice(readme.indexOf('| filter |'), readme.indexOf('## Publish a task'));

    expect(listFunctions().filter((filter) => !table.includes(`\`${filter}\``))).toEqual([]);
  });

  it('shows the filter that the tests run', () => {
    const shown = readme.match(/\/\/ functions\/negate\.ts\n([\s\S]*?)```/)?.[1];
    const tested = readFileSync(new URL('./fixtures/functions/negate.ts', import.meta.url), 'utf8');

    expect(tested.replace('../../../runtime', '../runtime')).toBe(shown);
  });
});

import { stripTypeScriptTypes } from 'node:module';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { ENTRY_REPORTER, entryOf, markEntries } from './mark-entries.ts';

const SOURCE = `function outer(a: number): number {
  const inner = (b: number) => b + 1;
  const pair = (b: number) => ({ b }) as { b: number };
  const nested = (b: number) => (c: number) => b * c;
  return inner(a) + pair(a).b + nested(a)(2);
}
class Base { constructor(readonlyName: string) { this.name = readonlyName; } name: string; }
class Door extends Base {
  constructor() { super("a \\"quoted\\" name"); }
  get wide() { return 2; }
  *parts() { yield* [1, 2].map((x) => x * this.wide); }
}
result = [outer(1), new Door().name, ...new Door().parts()];`;

it('reports each function as it starts, and changes neither results nor lines', () => {
  const marked = markEntries('runtime/a.ts', SOURCE);
  const reports: string[] = [];

  const result = evaluate(marked, (report) => reports.push(report));

  expect(result).toEqual(evaluate(SOURCE, () => {}));
  expect(reports.map(entryOf).map(({ line, name }) => `${line} ${name}`)).toEqual([
    '1 outer',
    '2 inner',
    '3 pair',
    '4 nested',
    '4 function in nested',
    '9 Door.constructor',
    '7 Base.constructor',
    '9 Door.constructor',
    '7 Base.constructor',
    '11 Door.parts',
    '11 callback of [1, 2].map',
    '10 Door.wide',
    '11 callback of [1, 2].map',
    '10 Door.wide',
  ]);
  expect(marked.split('\n')).toHaveLength(SOURCE.split('\n').length);
});

function evaluate(source: string, reporter: (report: string) => void): unknown {
  const context = { result: undefined, [ENTRY_REPORTER]: reporter };
  runInNewContext(stripTypeScriptTypes(source), context);
  return structuredClone(context.result);
}

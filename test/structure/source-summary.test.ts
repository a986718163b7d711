import { describe, expect, it } from 'vitest';
import { summarizeSource } from './source-summary.ts';

const names = (text: string) => summarizeSource('runtime/a.ts', text).functions.map(({ name }) => name);

describe('a summary of a source', () => {
  it('counts lines of the file, and of each function with those inside it', () => {
    const text = [
      '/** A door. */',
      'export function open(): void {',
      '  const knock = () => {',
      '    return 1;',
      '  };',
      '  knock();',
      '}',
      '',
    ].join('\n');

    const summary = summarizeSource('runtime/a.ts', text);

    expect(summary.lines).toBe(7);
    expect(summary.functions).toMatchObject([
      { name: 'open', line: 2, lines: 6 },
      { name: 'knock', line: 3, lines: 3 },
    ]);
  });

  it('names functions by what a reader sees', () => {
    expect(names('class Door { #open() {} get wide() { return 1; } close = () => {}; }')).toEqual([
      'Door.#open',
      'Door.wide',
      'Door.close',
    ]);
    expect(names('const door = { open() {}, close: function () {} };')).toEqual(['open', 'close']);
    expect(names('setTimeout(() => {}, 1); new Promise((resolve) => resolve(1));')).toEqual([
      'callback of setTimeout',
      'callback of Promise',
    ]);
    expect(names('function opener() { return () => 1; }')).toEqual(['opener', 'function in opener']);
  });

  it('leaves out functions without a body', () => {
    expect(names('function open(a: string): void; function open(a: unknown) {}')).toEqual(['open']);
    expect(names('declare function open(): void; abstract class A { abstract open(): void; }')).toEqual([]);
  });

  it('finds every kind of import of a file in the repository', () => {
    const text = `
      import { readFile } from 'node:fs/promises';
      import type { A } from '../keda/a.ts';
      import './b.ts';
      export * from './amqp/c.ts';
      export type { D } from './d.ts';
      const e = () => import('../functions/e.ts');
      import { type B } from './b.ts';`;

    expect(summarizeSource('runtime/a.ts', text).imports).toEqual([
      'keda/a.ts',
      'runtime/b.ts',
      'runtime/amqp/c.ts',
      'runtime/d.ts',
      'functions/e.ts',
    ]);
  });

  it('lists the names that a file exports of its own, once each', () => {
    const text = `
      export { A } from './a.ts';
      export * from './b.ts';
      export const FORMATS = ['png'] as const, [first] = FORMATS;
      export type Format = (typeof FORMATS)[number];
      export interface Door {}
      export const Door = {};
      class Late {}
      export { Late as Later };
      export default class {}`;

    expect(summarizeSource('a.ts', text).exports).toEqual(['FORMATS', 'first', 'Format', 'Door', 'Later']);
  });

  it('names the file that it cannot parse', () => {
    expect(() => summarizeSource('runtime/a.ts', 'export function {')).toThrow(/^runtime\/a\.ts: /);
  });
});

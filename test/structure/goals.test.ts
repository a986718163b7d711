import { describe, expect, it } from 'vitest';
import { checkSources, checkWalk, type GoalResult, isFailed } from './goals.ts';
import { summarizeSource } from './source-summary.ts';
import type { WalkStep } from './walk.ts';

const lines = (count: number) => '\n'.repeat(count - 1);

/** The one goal's result for files by their text. */
function check(goal: string, files: Record<string, string>): GoalResult {
  const sources = Object.entries(files).map(([path, text]) => summarizeSource(path, text));
  return checkSources(sources).find((result) => result.goal === goal)!;
}

describe('a goal that is not reached yet', () => {
  const walked = (files: number) =>
    checkWalk(Array.from({ length: files }, (_, at) => ({ path: `runtime/worker/${at}.ts` }) as WalkStep)).at(
      -1,
    )!;

  it('fails only beyond what is held', () => {
    expect(walked(20)).toMatchObject({ met: true });
    expect(walked(21)).toMatchObject({ met: false });
    expect([walked(20), walked(21), walked(walked(21).held!)].map(isFailed)).toEqual([false, false, false]);
    expect(isFailed(walked(walked(21).held! + 1))).toBe(true);
  });

  it('that has no bound fails at once', () => {
    expect(isFailed({ ...walked(21), held: undefined })).toBe(true);
  });
});

describe('the goals of the structure', () => {
  it('hold functions to 60 lines, worst first, tests apart', () => {
    const files = {
      'runtime/a.ts': `function long() {${lines(62)}}\nfunction longest() {${lines(70)}}\nfunction fits() {${lines(60)}}`,
      'test/a.test.ts': `it('works', () => {${lines(61)}});`,
    };

    expect(check('longest function', files)).toMatchObject({
      value: 70,
      met: false,
      over: ['70 runtime/a.ts:63 longest', '62 runtime/a.ts:1 long'],
    });
    expect(check('longest function in tests', files)).toMatchObject({ value: 61, met: false });
  });

  it('do not take a list of tests for a function', () => {
    const files = { 'test/a.test.ts': `describe('a', () => {${lines(99)}});` };

    expect(check('longest function in tests', files)).toMatchObject({ value: 0, met: true });
  });

  it('hold files to 250 lines', () => {
    const files = { 'keda/a.ts': `//${lines(251)}//`, 'keda/b.ts': `//${lines(250)}//` };

    expect(check('longest file', files)).toMatchObject({ value: 251, met: false, over: ['251 keda/a.ts'] });
  });

  it('count the lines of the runtime without its doors', () => {
    const files = {
      'runtime/config.ts': `//${lines(5000)}//`,
      'runtime/worker/a.ts': `//${lines(3001)}//`,
      'runtime/cli/main.ts': `//${lines(100)}//`,
      'runtime/gateway/main.ts': `//${lines(100)}//`,
      'keda/a.ts': `//${lines(100)}//`,
    };

    expect(check('lines of the runtime without its doors', files)).toMatchObject({
      value: 8001,
      met: false,
      over: ['5000 runtime/config.ts', '3001 runtime/worker'],
    });
  });

  it('find names that two files export, but for those of a stand-in', () => {
    const files = {
      'runtime/a.ts': 'export interface Ledger {}\nexport function decode() {}',
      'test/a.ts': 'export class Ledger {}',
      'test/chaos/model/virtual-images.ts': 'export function decode() {}',
    };

    expect(check('names exported by more than one file', files)).toMatchObject({
      value: 1,
      met: false,
      over: ['Ledger: runtime/a.ts, test/a.ts'],
    });
  });

  it('find circles of imports', () => {
    const files = { 'runtime/a.ts': "import '../keda/b.ts';", 'keda/b.ts': "import '../runtime/a.ts';" };

    expect(check('circles of imports between rooms', files).over).toEqual([
      'runtime/a.ts → keda/b.ts → runtime/a.ts (runtime/a.ts → keda/b.ts, keda/b.ts → runtime/a.ts)',
    ]);
  });

  it('count rooms and files of a walk once', () => {
    const paths = ['runtime/amqp/a.ts', 'runtime/worker/b.ts', 'runtime/worker/c.ts', 'runtime/amqp/a.ts'];
    const walk = paths.map((path, atMs): WalkStep => ({ path, line: 1, name: 'f', process: 'parent', atMs }));

    expect(checkWalk(walk)).toMatchObject([
      { value: 2, met: true, over: ['runtime/amqp', 'runtime/worker'] },
      { value: 3, met: true },
    ]);
  });
});

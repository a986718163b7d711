/** A child may end in any way and at any moment: its job gets an answer, and no timer or handle is left behind. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { dot } from '../../support/dot-installation.ts';
import { runProgram } from '../../support/run-program.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import type { Moment } from './child-moments.ts';

const MOMENTS = fileURLToPath(new URL('child-moments.ts', import.meta.url));

interface Told {
  moment: Moment;
  result: {
    kind: string;
    failureType?: string;
    consequence?: string;
    message?: string;
    isSameChild?: boolean;
  };
  ms: number;
  next: string | undefined;
  left: number;
  closed: number;
}

async function live(moments: Moment[]): Promise<Told[]> {
  await using folder = await temporaryFolder();
  await writeFile(join(folder.path, 'dot.png'), await dot());
  const { code, stdout, stderr } = await runProgram(MOMENTS, [folder.path, JSON.stringify(moments)]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('a child that ends', () => {
  it.each<[string, Moment[], string]>([
    ['while it starts', steps(0, 400, 80).map((ms) => ({ how: 'killed', ms })), 'child-lost'],
    ['at work', steps(0, 60, 12).map((ms) => ({ how: 'killed at work', ms })), 'child-lost'],
    ['by its filter', [{ how: 'meddle', params: { how: 'exit' } }], 'child-lost'],
    ['by its filter’s error', [{ how: 'meddle', params: { how: 'throw later' } }], 'child-lost'],
    ['as it loses its parent’s ear', [{ how: 'meddle', params: { how: 'disconnect' } }], 'child-lost'],
    ['because it is told to', [{ how: 'stopped at work' }], 'child-lost'],
    ['because all is', [{ how: 'closed at work' }], 'child-lost'],
    ['at its deadline', [{ how: 'late' }, { how: 'meddle', params: { how: 'nonsense' } }], 'timeout'],
    ['for its memory', [{ how: 'too large' }], 'memory'],
  ])(
    '%s leaves an answer, a successor and nothing else',
    { timeout: 60_000 },
    async (_, moments, failureType) => {
      const told = await live(moments);

      expect(told).toHaveLength(moments.length);
      for (const { moment, result, ms, next, left, closed } of told) {
        if (result.kind === 'failed') expect(result, JSON.stringify(moment)).toMatchObject({ failureType });
        else expect(moment.how, 'may have been done already').toMatch(/^killed/);
        expect(ms).toBeLessThan(20_000);
        if (moment.how !== 'closed at work') expect(next, JSON.stringify(moment)).toMatch(/completed|failed/);
        expect([left, closed], JSON.stringify(moment)).toEqual([0, 0]);
      }
      if (failureType !== 'child-lost') expect(told[0]?.next).toBe('completed');
    },
  );

  it('is not ended by a job that cannot be handed to it, nor is the next job', async () => {
    const [told] = await live([{ how: 'unsendable' }]);

    expect(told?.result).toMatchObject({
      kind: 'failed',
      failureType: 'invalid-task',
      consequence: 'reject',
      message: expect.stringMatching(/cannot be handed to its process/),
      isSameChild: true,
    });
    expect(told).toMatchObject({ next: 'completed', left: 0, closed: 0 });
  });
});

function steps(from: number, to: number, by: number): number[] {
  return Array.from({ length: Math.ceil((to - from) / by) }, (_, index) => from + index * by);
}

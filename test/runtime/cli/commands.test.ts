/** What all commands have in common, as their users meet it: real processes, their output, their exit codes. */
import { describe, expect, it } from 'vitest';
import { runDarkroom } from '../../support/run-program.ts';
import { words } from '../../support/words.ts';

const COMMANDS = words(`
  demo run publish functions status cancel dead queues rights worker up simulate recommend smoke sweep
  doctor
`);

describe('every command', () => {
  it.each(COMMANDS)('%s has --help with an example', async (command) => {
    const { code, stdout } = await runDarkroom([command, '--help']);

    expect(code).toBe(0);
    expect(stdout).toMatch(/Usage: darkroom/);
    expect(stdout).toMatch(/Example:\n {2}\$ /);
  });

  it.each(COMMANDS)('%s answers an unknown option in one line, without a stack trace', async (command) => {
    const { code, stderr } = await runDarkroom([command, '--frobnicate']);

    expect(code).toBe(2);
    expect(stderr.trim().split('\n')[0]).toMatch(/^error: unknown option '--frobnicate'/);
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});

describe('a table in a pipe or a file', () => {
  it.each([
    [{}, 80],
    [{ COLUMNS: '120', FORCE_COLOR: '1' }, 120],
  ])('has no colours and with %j is at most %d columns wide; --json has all of it', async (env, columns) => {
    const table = await runDarkroom(['functions'], { ...process.env, COLUMNS: '', ...env });
    const json = await runDarkroom(['functions', '--json']);

    const lines = table.stdout.trimEnd().split('\n');
    const summaries = (JSON.parse(json.stdout) as { summary: string }[]).map(({ summary }) => summary);
    expect(table.stdout).not.toContain('\x1b');
    expect(Math.max(...lines.map((line) => line.length))).toBe(columns);
    expect(lines.filter((line) => line.endsWith('…')).length).toBeGreaterThan(0);
    expect(summaries.some((summary) => summary.length > columns - 12)).toBe(true);
  });
});

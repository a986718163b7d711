import type { WriteStream } from 'node:tty';
import { describe, expect, it } from 'vitest';
import { LiveLines } from '../../../runtime/cli/live-lines.ts';
import { tableLines } from '../../../runtime/cli/terminal-table.ts';
import {
  bold,
  displayWidth,
  escapeControls,
  green,
  isMark,
  toAnsi,
  truncate,
} from '../../../runtime/cli/terminal-text.ts';
import { openTerminal } from '../../support/pseudo-terminal.ts';
import { Screen } from '../../support/screen.ts';

const ESCAPE = '\x1b';

describe('text from outside', () => {
  it.each([
    ['the colour of what follows', `${ESCAPE}[31mred`, '\\u001b[31mred'],
    ['a title of the window', `${ESCAPE}]0;owned\x07`, '\\u001b]0;owned\\u0007'],
    ['the same in one byte (C1)', '\x9d0;owned\x9c', '\\u009d0;owned\\u009c'],
    ['a line of its own', 'done\r\n✓ all is well', 'done\\r\\n✓ all is well'],
    ['a line by other separators', 'a\u2028b\u2029c\x85d', 'a\\u2028b\\u2029c\\u0085d'],
    ['text that runs backwards', 'cat\u202egpj.exe', 'cat\\u202egpj.exe'],
    ['an isolated direction', '\u2066a\u2069\u200f\u061c', '\\u2066a\\u2069\\u200f\\u061c'],
    ['deletion', 'no\x08\x08yes\x7f', 'no\\u0008\\u0008yes\\u007f'],
    ['the style of this program’s own text', '\ufdd0bold', '\\ufdd0bold'],
    ['nothing', 'größe 猫 👩‍👧 \\u001b', 'größe 猫 👩‍👧 \\u001b'],
  ])('cannot set %s', (_, text, shown) => {
    expect(escapeControls(text)).toBe(shown);
    expect(escapeControls(shown)).toBe(shown);
  });

  it('is escaped for every control character there is', () => {
    const controls = Array.from({ length: 0xa0 }, (_, code) => String.fromCharCode(code));

    const shown = controls.map((character) => escapeControls(character)).join('');

    expect(shown).toMatch(/^[\x20-\x7e]+$/);
  });

  it('keeps what is meant in text of our own', () => {
    const text = `${bold('a')}\n${ESCAPE}`;

    const shown = escapeControls(text, (character) => character === '\n' || isMark(character));

    expect(toAnsi(shown, false)).toBe('a\n\\u001b');
    expect(toAnsi(shown, true)).toContain(`${ESCAPE}[1ma`);
  });
});

describe('a style', () => {
  it('ends with its line, even when it was never closed', () => {
    const [open = ''] = bold('x');

    expect(toAnsi(`${open}bold\nplain`, true)).toBe(`${ESCAPE}[1mbold${ESCAPE}[0m\nplain`);
  });

  it('is nothing without colours', () => {
    expect(toAnsi(green('done'), false)).toBe('done');
  });
});

describe('the width of text', () => {
  it('counts what a terminal shows, two for a wide character and none for a style', () => {
    expect(displayWidth(bold('猫 cat'))).toBe(6);
  });

  it.each([
    ['short', 5, 'short'],
    ['longer', 5, 'long…'],
    ['猫猫猫', 5, '猫猫…'],
    ['猫猫猫', 4, '猫…'],
    ['x', 0, ''],
  ])('cuts %j to %d columns with an ellipsis', (text, columns, shown) => {
    expect(truncate(text, columns)).toBe(shown);
    expect(displayWidth(shown)).toBeLessThanOrEqual(columns);
  });

  it('closes a style that is cut', () => {
    expect(toAnsi(truncate(bold('longer'), 3), true)).toBe(`${ESCAPE}[1mlo…${ESCAPE}[22m${ESCAPE}[0m`);
  });
});

describe('a table', () => {
  const plain = (lines: string[]) => lines.map((line) => toAnsi(line, false));

  it('lines its columns up', () => {
    const lines = tableLines(
      ['Filter', 'Ready'],
      [
        ['blur', '3'],
        ['grayscale', '12'],
      ],
      80,
    );

    expect(plain(lines)).toEqual(['Filter     Ready', 'blur       3', 'grayscale  12']);
  });

  it('is no wider than its terminal: the longest cells end in an ellipsis, ids and numbers are whole', () => {
    const id = '0198c1d2-aaaa-7bbb-8ccc-0123456789ab';
    const rows = [[id, '1234567', 'a reason that goes on and on and on'.repeat(10)]];

    const lines = plain(tableLines(['Task', 'Bytes', 'Reason'], rows, 80));

    expect(lines.map(displayWidth)).toSatisfy((widths: number[]) => Math.max(...widths) === 80);
    expect(lines[1]).toMatch(/^0198c1d2-aaaa-7bbb-8ccc-0123456789ab {2}1234567 {2}a reason .*…$/);
  });

  it.each([10, 20, 40])('fits even %d columns', (columns) => {
    const rows = [['a name', '1234567', 'some text'.repeat(20), '9'.repeat(30)]];

    const lines = tableLines(['One', 'Two', 'Three', 'Four'], rows, columns);

    expect(Math.max(...lines.map(displayWidth))).toBeLessThanOrEqual(columns);
  });
});

describe('live lines', () => {
  const on = (screen: Screen) => new LiveLines(screen as unknown as WriteStream, false);

  it('replace those drawn before, also when they become fewer', () => {
    const screen = new Screen();
    screen.write('above\n');
    const lines = on(screen);

    lines.draw(['a 1', 'b 1', 'c 1']);
    lines.draw(['a 2']);
    lines.end();
    screen.write('below\n');

    expect(screen.lines).toEqual(['above', 'a 2', 'below']);
  });

  it('never wrap nor scroll: they are cut to the terminal', () => {
    const screen = new Screen(20, 5);
    const lines = on(screen);
    const many = (turn: number) => Array.from({ length: 9 }, (_, n) => `${turn}.${n} ${'x'.repeat(50)}`);

    lines.draw(many(1));
    lines.draw(many(2));
    lines.end();

    expect(screen.lines).toEqual([0, 1, 2, 3].map((n) => `2.${n} ${'x'.repeat(14)}…`));
  });

  it('take back what wrapped when the terminal became narrower', () => {
    const screen = new Screen(20, 10);
    const lines = on(screen);
    lines.draw(['x'.repeat(18)]);
    // As a terminal that wraps what stands there.
    screen.columns = 10;
    screen.write(`\r${ESCAPE}[1A${ESCAPE}[J${'x'.repeat(18)}\n`);

    lines.draw(['y']);

    expect(screen.lines).toEqual(['y']);
  });
});

describe.skipIf(process.platform !== 'linux')('what is printed', () => {
  const TERMINAL = new URL('../../../runtime/cli/terminal.ts', import.meta.url).href;
  const run = (code: string, env: NodeJS.ProcessEnv = process.env) =>
    openTerminal(
      [
        process.execPath,
        '--input-type=module',
        '--eval',
        `import * as terminal from '${TERMINAL}'; const { bold, LiveView, note, print, printTable } = terminal; ${code}`,
      ],
      { columns: 40, rows: 8, env },
    );

  it('has colours on a terminal, and none with NO_COLOR', async () => {
    // What this test runs in may be without colours itself: in CI, or by NO_COLOR.
    const { NO_COLOR: _, FORCE_COLOR: __, CI: ___, ...env } = process.env;
    await using coloured = run("print(bold('x'));", { ...env, TERM: 'xterm-256color' });
    await using plain = run("print(bold('x'));", { ...process.env, NO_COLOR: '1' });
    await Promise.all([coloured.exited, plain.exited]);

    expect(coloured.output()).toContain(`${ESCAPE}[1mx`);
    expect(plain.output()).toBe('x\r\n');
  });

  it('fits the terminal', async () => {
    await using terminal = run("printTable(['A', 'B'], [['a', 'b'.repeat(100)]]);", {
      ...process.env,
      NO_COLOR: '1',
    });
    await terminal.exited;

    expect(terminal.output()).toBe(`A  B\r\na  ${'b'.repeat(36)}…\r\n`);
  });

  it('stands above the live lines, which stay last', async () => {
    await using terminal = run(`
      const view = new LiveView(process.stdout);
      view.show('live 1');
      note('said');
      view.show('live 2');
      view.end();`);
    await terminal.exited;
    const screen = new Screen(40, 8);

    screen.write(terminal.output());

    expect(screen.lines).toEqual(['said', 'live 2']);
  });

  it('leaves signals to the program', async () => {
    await using terminal = run(`
      const view = new LiveView(process.stdout);
      view.show('live');
      process.on('SIGINT', () => setTimeout(() => { view.end(); print('drained'); process.exit(3); }, 300));
      setInterval(() => {}, 1000);`);
    await terminal.shows('live');

    terminal.type('\x03');

    expect(await terminal.exited).toBe(3);
    expect(terminal.output()).toContain('drained');
  });

  it('shows how far a command is, also when nobody knows how much there is', async () => {
    const BAR = new URL('../../../runtime/cli/progress-bar.ts', import.meta.url).href;
    await using terminal = run(`
      const { ProgressBar } = await import('${BAR}');
      const [known, unknown] = [new ProgressBar(2, 'known'), new ProgressBar(0, 'unknown')];
      known.update(1, 'a\\x1b[2Jb');
      known.stop();
      for (const done of [1, 2, 3]) unknown.update(done);
      print('end');
      unknown.stop();`);
    expect(await terminal.exited).toBe(0);

    expect(terminal.output()).toMatch(/█{12}░{12} 1\/2 known/);
    expect(terminal.output()).toMatch(/░{24} 3 unknown/);
    expect(terminal.output()).not.toContain(`${ESCAPE}[2J`);
    const screen = new Screen(40, 8);
    screen.write(terminal.output());
    expect(screen.lines).toEqual(['end']);
  });
});

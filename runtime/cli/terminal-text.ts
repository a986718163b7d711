/** Text on its way to a terminal: made harmless, styled, measured and cut. */
import { inspect } from 'node:util';
import stringWidth from 'string-width';

/**
 * Marks of styles. They become colours only when the text is written, because only then the stream is known.
 * Unicode leaves these code points to programs for use inside themselves: https://www.unicode.org/faq/private_use.html
 */
const MARKS = {
  bold: ['\ufdd0', '\ufdd1'],
  dim: ['\ufdd2', '\ufdd3'],
  red: ['\ufdd4', '\ufdd5'],
  green: ['\ufdd6', '\ufdd7'],
  yellow: ['\ufdd8', '\ufdd9'],
} as const;
const ANY_MARK = /[\ufdd0-\ufdd9]/g;
/** C0, DEL and C1, line separators, and what turns the direction of text; then the marks above. */
const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufdd0-\ufdef]/gu;
const SHORT_ESCAPES: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
const RESET = '\x1b[0m';

/**
 * Text from outside (an id, a key, a reason) as one harmless line: what could steer a terminal or forge a line is
 * shown as JSON writes it, such as `\u001b`. Text that was escaped stays as it is.
 *
 * @param isMeant characters to leave, such as the line breaks of a text that Darkroom composed
 */
export function escapeControls(text: string, isMeant = (_: string) => false): string {
  return text.replace(UNSAFE, (found) => (isMeant(found) ? found : escapeCharacter(found)));
}

export function bold(text: string): string {
  return styled('bold', text);
}

export function dim(text: string): string {
  return styled('dim', text);
}

export function red(text: string): string {
  return styled('red', text);
}

export function green(text: string): string {
  return styled('green', text);
}

export function yellow(text: string): string {
  return styled('yellow', text);
}

/** Whether the character stands for a style. */
export function isMark(character: string): boolean {
  return Object.hasOwn(ANSI, character);
}

/** Turns marks into what a terminal understands, or drops them. Each line ends in plain style. */
export function toAnsi(text: string, colours: boolean): string {
  if (!colours) return text.replace(ANY_MARK, '');
  const line = (plain: string) => {
    const ansi = plain.replace(ANY_MARK, (mark) => ANSI[mark] ?? '');
    return ansi === plain ? plain : ansi + RESET;
  };
  return text.split('\n').map(line).join('\n');
}

/** In columns of a terminal, of which a Chinese character or an emoji takes two. */
export function displayWidth(text: string): number {
  return stringWidth(text.replace(ANY_MARK, ''));
}

/** The text in at most so many columns; where it is cut it ends in an ellipsis. */
export function truncate(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  let used = 0;
  let cut = '';
  let isFull = columns < 1;
  for (const part of text.split(/([\ufdd0-\ufdd9])/)) {
    if (isMark(part)) cut += part;
    else
      for (const { segment } of graphemes.segment(part)) {
        used += displayWidth(segment);
        if (isFull) break;
        if (used < columns) cut += segment;
        else {
          cut += '…';
          isFull = true;
        }
      }
  }
  return cut;
}

/** The text, followed by blanks up to so many columns. */
export function padColumns(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - displayWidth(text)));
}

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

const ANSI: Record<string, string> = Object.fromEntries(
  Object.entries(MARKS).flatMap(([style, marks]) =>
    marks.map((mark, index) => [mark, `\x1b[${inspect.colors[style]?.[index]}m`]),
  ),
);

function styled(style: keyof typeof MARKS, text: string): string {
  const [start, end] = MARKS[style];
  return text === '' ? '' : `${start}${text}${end}`;
}

function escapeCharacter(character: string): string {
  return SHORT_ESCAPES[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Text that a terminal would obey, that hides or turns what stands beside it, or that is no text at all. */
import fc from 'fast-check';

const PARTS = [
  '\x1b[2J\x1b[H',
  '\x1b]0;owned\x07',
  '\x1b]8;;http://evil.invalid\x07click\x1b]8;;\x07',
  '\x1b[5;45mloud',
  '\x9b45m',
  '\x9d0;owned\x9c',
  '\u202egnp.exe',
  '\u2066',
  '\u200f',
  '\u061c',
  '\u2028',
  '\ufdd0',
  '\r',
  '\n',
  '\t',
  '\b\b\b',
  '\x7f',
  '\x00',
  '\ud800',
  'e\u0301',
  '图像',
  '🖼️',
  'plain',
];

/** At most some sixty bytes. */
export function spoof(): fc.Arbitrary<string> {
  return fc.array(fc.constantFrom(...PARTS), { minLength: 1, maxLength: 3 }).map((parts) => parts.join(''));
}

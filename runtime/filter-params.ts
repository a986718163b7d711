/** Parameters that several filters share: colours and positions. */
import names from 'color-name';
import { z } from 'zod';

/** Red, green, blue from 0 to 255; alpha from 0 (transparent) to 1. */
export interface Colour {
  r: number;
  g: number;
  b: number;
  alpha: number;
}

export const WHITE: Colour = { r: 255, g: 255, b: 255, alpha: 1 };
export const TRANSPARENT: Colour = { r: 0, g: 0, b: 0, alpha: 0 };

const EXPECTED_COLOUR = 'a colour: a CSS name, transparent, or hex such as #fff, #ff8800 or #ff880080';

const MAX_COLOUR_CHARACTERS = 40;

/** Three, four, six or eight hex digits: one or two for each of red, green, blue and perhaps alpha. */
const HEX = /^#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})$/i;

/** A CSS colour name, `transparent`, or `#rgb`, `#rgba`, `#rrggbb`, `#rrggbbaa`, as it was written. */
export const colourText = z
  .string(EXPECTED_COLOUR)
  .max(MAX_COLOUR_CHARACTERS)
  .refine((text) => findColour(text) !== undefined, `expected ${EXPECTED_COLOUR}`);

/** The same, parsed to {@link Colour}. */
export const colour = colourText.transform(parseColour);

/** @throws TypeError when the text is not a colour */
export function parseColour(text: string): Colour {
  const found = findColour(text);
  if (found === undefined) throw new TypeError(`expected ${EXPECTED_COLOUR}, got ${JSON.stringify(text)}`);
  return found;
}

export const COMPASS = [
  'centre',
  'north',
  'northeast',
  'east',
  'southeast',
  'south',
  'southwest',
  'west',
  'northwest',
] as const;
export type Compass = (typeof COMPASS)[number];

/** Where something is within something larger. */
export const compass = z.enum(COMPASS);

/**
 * Left and top, pixels, of a box in a larger one, `margin` pixels from the edges that the position names.
 * A box that is too large for its margin moves over the edge evenly.
 */
export function placeBox(
  position: Compass,
  box: { width: number; height: number },
  within: { width: number; height: number },
  margin = 0,
): { left: number; top: number } {
  const freeX = within.width - box.width;
  const freeY = within.height - box.height;
  const left = position.endsWith('west')
    ? margin
    : position.endsWith('east')
      ? freeX - margin
      : Math.floor(freeX / 2);
  const top = position.startsWith('north')
    ? margin
    : position.startsWith('south')
      ? freeY - margin
      : Math.floor(freeY / 2);
  return { left, top };
}

function findColour(written: string): Colour | undefined {
  const text = written.trim().toLowerCase();
  if (text === 'transparent') return TRANSPARENT;
  if (HEX.test(text)) return parseHex(text.slice(1));
  const named = Object.hasOwn(names, text) ? names[text as keyof typeof names] : undefined;
  return named && { r: named[0], g: named[1], b: named[2], alpha: 1 };
}

function parseHex(digits: string): Colour {
  const long = digits.length <= 4 ? digits.replace(/./g, '$&$&') : digits;
  const [r = 0, g = 0, b = 0, alpha = 255] =
    long.match(/../g)?.map((pair) => Number.parseInt(pair, 16)) ?? [];
  return { r, g, b, alpha: alpha / 255 };
}

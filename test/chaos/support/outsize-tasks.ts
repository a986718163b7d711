/** Tasks that are too deep, too wide or too long for anything that walks, copies, quotes or prints them. */
import fc from 'fast-check';
import { spoof } from './spoofs.ts';

/** Just below the largest task in JSON. */
const LONGEST = 940_000;

type MakeBody = (unique: string) => Buffer;

/** Where an outsize value is put. */
const PLACES = ['params', 'output', 'key', 'input', 'filter', 'id', 'beside'] as const;

export function outsizeTask(filters: readonly string[]): fc.Arbitrary<MakeBody> {
  return fc
    .record({
      filter: fc.constantFrom(...filters),
      place: fc.constantFrom(...PLACES),
      json: fc.oneof(
        { weight: 4, arbitrary: deepJson() },
        { weight: 4, arbitrary: wideJson() },
        { weight: 4, arbitrary: longJson() },
        { weight: 12, arbitrary: spoofedJson() },
        { weight: 1, arbitrary: hugeOptions() },
      ),
    })
    .map(
      ({ filter, place, json }) =>
        (unique) =>
          Buffer.from(taskWith(filter, place, json, unique)),
    );
}

/** Written by hand, for what writes JSON may not get as deep. */
function taskWith(filter: string, place: (typeof PLACES)[number], json: string, unique: string): string {
  const at = (here: (typeof PLACES)[number], usual: string) => (place === here ? json : usual);
  const step = `{"filter":${at('filter', `"${filter}"`)},"params":${at('params', '{}')}}`;
  // A result has a place of its own, whatever its key looks like.
  const key = at('key', '"out/"').replace(/"$/, () => `${unique}.png"`);
  const output = at('output', `{"key":${key},"format":"png"}`);
  const beside = place === 'beside' ? `,"beside":${json}` : '';
  const id = place === 'id' ? json : `"${unique}"`;
  return `{"id":${id},"input":${at('input', '"photo.png"')},"steps":[${step}],"output":${output}${beside}}`;
}

function deepJson(): fc.Arbitrary<string> {
  const depth = fc.constantFrom(5, 19, 20, 21, 500, 3_300, 6_000, 60_000);
  return fc
    .tuple(depth, fc.boolean())
    .map(([levels, isList]) =>
      isList ? '['.repeat(levels) + ']'.repeat(levels) : `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`,
    );
}

function wideJson(): fc.Arbitrary<string> {
  const count = fc.constantFrom(100, 9_000, 10_001, 60_000);
  return fc
    .tuple(count, fc.boolean())
    .map(([width, isList]) =>
      isList
        ? `[${'0,'.repeat(width)}0]`
        : `{${Array.from({ length: width }, (_, n) => `"k${n}":0`).join(',')}}`,
    );
}

function longJson(): fc.Arbitrary<string> {
  const length = fc.constantFrom(201, 901, 5_000, 70_000, LONGEST);
  const character = fc.constantFrom('x', '/', '\\u001b', '\\u202e');
  return fc.tuple(length, character).map(([characters, one]) => {
    const text = one.repeat(characters / one.length);
    return `"${text}"`;
  });
}

/** Nine tenths of a mebibyte of options that no format and no filter knows. */
function hugeOptions(): fc.Arbitrary<string> {
  return fc
    .constantFrom('quality', 'x', '\\u001b[45m')
    .map(
      (word) => `{${Array.from({ length: 9_000 }, (_, n) => `"${word}${n}-${'y'.repeat(80)}":1`).join(',')}}`,
    );
}

function spoofedJson(): fc.Arbitrary<string> {
  return fc
    .tuple(spoof(), fc.constantFrom('text', 'object'))
    .map(([text, kind]) => JSON.stringify(kind === 'text' ? text : { [text]: text }));
}

import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { validationMessage, validationMessages } from '../../runtime/validation-message.ts';

const schema = z.strictObject({
  radius: z.number().min(0).max(1000),
  count: z.int().min(1).optional(),
  ratio: z.number().positive().max(3).optional(),
  method: z.enum(['canny', 'sobel']).default('canny'),
  input: z.string('a storage key').min(1, 'a storage key').optional(),
  steps: z
    .array(z.strictObject({ filter: z.string() }))
    .min(1)
    .max(20)
    .optional(),
  target: z.union([z.string(), z.strictObject({ width: z.number() })]).optional(),
  colour: z
    .string()
    .refine((text) => text.startsWith('#'), 'expected a colour such as #fff')
    .optional(),
});

function explain(value: unknown, at = ''): string {
  const parsed = schema.safeParse(value);
  if (parsed.success) throw new Error('the value is accepted');
  return validationMessage(parsed.error, value, schema, at);
}

describe('validationMessage', () => {
  it.each([
    [{ radius: 'big' }, 'radius: expected a number from 0 to 1000, got "big"'],
    [{ radius: -1 }, 'radius: expected a number from 0 to 1000, got -1'],
    [{ radius: Number.NaN }, 'radius: expected a number from 0 to 1000, got NaN'],
    [{}, 'radius: expected a number from 0 to 1000, it is missing'],
    [{ radius: 1, count: 1.5 }, 'count: expected a whole number of 1 or more, got 1.5'],
    [{ radius: 1, ratio: 0 }, 'ratio: expected a number above 0 up to 3, got 0'],
    [{ radius: 1, method: 'prewitt' }, 'method: expected one of canny, sobel, got "prewitt"'],
    [{ radius: 1, input: '' }, 'input: expected a storage key, got ""'],
    [{ radius: 1, steps: [] }, 'steps: expected a list of 1 to 20 entries, got []'],
    [{ radius: 1, steps: [{ filter: 'blur' }, {}] }, 'steps[1].filter: expected a string, it is missing'],
    [{ radius: 1, target: 3 }, 'target: expected a string or an object, got 3'],
    [{ radius: 1, target: { width: 'x' } }, 'target.width: expected a number, got "x"'],
    [{ radius: 1, colour: 'red' }, 'colour: expected a colour such as #fff, got "red"'],
    [5, 'the value: expected an object, got 5'],
    [null, 'the value: expected an object, got null'],
  ])('says of %j what was expected', (value, words) => {
    expect(explain(value)).toBe(words);
  });

  it('suggests the nearest known key, or lists them all', () => {
    expect(explain({ radius: 1, raduis: 2 })).toBe('raduis: unknown, did you mean radius?');
    expect(explain({ radius: 1, zzzzzz: 2 })).toBe(
      'zzzzzz: unknown, known are radius, count, ratio, method, input, steps, target, colour',
    );
  });

  it('names every fault, with the path of the value itself in front', () => {
    expect(explain({ radius: 'big', method: 1 }, 'steps[0].params')).toBe(
      'steps[0].params.radius: expected a number from 0 to 1000, got "big"; steps[0].params.method: expected one of canny, sobel, got 1',
    );
  });

  it('cuts long values', () => {
    expect(explain({ radius: 'x'.repeat(500) }).length).toBeLessThan(150);
  });

  it('stays short for any number of unknown keys of any length', () => {
    const unknown = Object.fromEntries(
      Array.from({ length: 5_000 }, (_, at) => [`${at}${'k'.repeat(200)}`, 1]),
    );
    const message = explain({ radius: 1, ...unknown })!;
    expect(message.length).toBeLessThan(2_500);
    expect(message).toContain('and 4990 more');
  });

  it('works without the schema, with the words of the issue', () => {
    const value = { radius: 2000, extra: 1 };
    const { error } = schema.safeParse(value);
    expect(error && validationMessages(error, value)).toEqual([
      'radius: expected at most 1000, got 2000',
      'extra: unknown',
    ]);
  });
});

/** Text of a sender that would cost time, or that two ids share. */
import { describe, expect, it } from 'vitest';
import { closestName } from '../../../runtime/closest-name.ts';
import { Rejection } from '../../../runtime/errors.ts';
import { capText } from '../../../runtime/redact.ts';
import { parseTask } from '../../../runtime/task/task.ts';
import { words } from '../../support/words.ts';

const MEGABYTE = 1_000_000;
/** Some hundredths of a second are measured; without a bound it was 22 s, and the broker took the connection for dead. */
const BOUND_MS = 2_000;

function rejectionOf(body: string | object, headers: Record<string, unknown> = {}, contentType?: string) {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const properties = { contentType: contentType ?? 'application/json' };
  try {
    parseTask({ body: bytes, properties, headers }, 'flip');
  } catch (error) {
    return error as Rejection;
  }
  throw new Error('It is a task.');
}

function fill(part: string, characters = MEGABYTE): string {
  return part.repeat(Math.floor(characters / part.length));
}

describe('a megabyte of hostile text', () => {
  const TASK = { input: 'a.jpg', steps: [{ filter: 'flip' }] };

  it.each(words('a:// a://b:c a://b# ?a %3f &amp; password= a'))(
    'made of "%s" is refused in no time, wherever it stands',
    (part) => {
      const text = fill(part);
      const start = performance.now();
      for (const task of [
        { ...TASK, output: { key: text } },
        { ...TASK, id: text },
        { ...TASK, input: text },
        { ...TASK, [text]: 1 },
        { ...TASK, steps: [{ filter: text }] },
      ])
        expect(rejectionOf(task)).toBeInstanceOf(Rejection);
      expect(performance.now() - start).toBeLessThan(BOUND_MS);
    },
  );

  it('is capped with its secrets gone, also where the cut goes through one', () => {
    for (const before of [0, 1_990, 7_950, 8_150, 8_185])
      expect(capText(`${'x'.repeat(before)} https://me:hunter2hunter2@host/ ${fill('x ')}`)).not.toMatch(
        /hunt/,
      );
    expect(capText(fill('https://me:hunter2@host/?sig=hunter2 '))).not.toContain('hunter2');
  });

  it('is no mistyped name', () => {
    expect(closestName(fill('a'), ['a'.repeat(90)])).toBeUndefined();
  });
});

describe('an id', () => {
  it.each(['\\ud800', 'a\\udfff', '\\udc00\\ud800'])(
    'with half a character (%s) is refused: its marker and result would be those of others',
    (id) => {
      const task = `{"id":"${id}","input":"a.jpg","steps":[{"filter":"flip"}]}`;
      expect(rejectionOf(task)).toMatchObject({
        failureType: 'invalid-task',
        message: expect.stringMatching(/^id: .*Unicode/),
      });
    },
  );
});

describe('the steps of an image inside its message', () => {
  it('are refused when a retry could not carry them', () => {
    const steps = JSON.stringify([{ filter: 'flip', params: { direction: 'x'.repeat(50_000) } }]);
    expect(rejectionOf('image', { 'darkroom-steps': steps }, 'image/png')).toMatchObject({
      failureType: 'invalid-message',
      message: expect.stringMatching(/^The headers .* have 50\d+ bytes/),
    });
  });
});

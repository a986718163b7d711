import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ChildErrors } from '../../../runtime/worker/child-errors.ts';

const PART = 8;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function listen() {
  const told: { text: string; leftOut: number }[] = [];
  return { told, errors: new ChildErrors((text, leftOut) => told.push({ text, leftOut })) };
}

describe('what a child writes to standard error', () => {
  it('is told in one piece, although it comes in several', () => {
    const { told, errors } = listen();

    for (const piece of ['Error: out', ' of luck\n', '    at once\n']) errors.take(piece);
    vi.advanceTimersByTime(100);

    expect(told).toEqual([{ text: 'Error: out of luck\n    at once', leftOut: 0 }]);
  });

  it('is told at most once a second, and within bounds', () => {
    const { told, errors } = listen();

    for (let ms = 0; ms < 10_000; ms++) {
      errors.take('x'.repeat(1_000));
      vi.advanceTimersByTime(1);
    }
    errors.flush();

    expect(told.length).toBeLessThanOrEqual(12);
    expect(Math.max(...told.map(({ text }) => text.length))).toBeLessThanOrEqual(4_096);
    expect(told.reduce((sum, { leftOut }) => sum + leftOut, 0)).toBeGreaterThan(9_000_000);
  });

  it('is told to the last when the child ends, and then no more', () => {
    const { told, errors } = listen();
    errors.take('the reason');

    errors.flush();
    vi.advanceTimersByTime(5_000);

    expect(told).toEqual([{ text: 'the reason', leftOut: 0 }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('gives no part of a secret away, wherever it breaks and wherever it is cut', () => {
    const secret = fc.stringMatching(/^[A-Za-z0-9]{12,40}$/);
    const template = fc.constantFrom(
      'amqp://worker:@@@@broker/vhost',
      'GET https://x/y?ticket=@@@',
      'Authorization: Bearer @@@',
      "{ AWS_SECRET_ACCESS_KEY: '@@@' }",
      '-----BEGIN PRIVATE KEY-----\n@@@\n@@@\n-----END PRIVATE KEY-----',
    );
    const breaks = fc.array(fc.nat(100), { maxLength: 8 });
    const lengths = fc.constantFrom(0, 3_990, 4_060, 65_400, 65_480);
    fc.assert(
      fc.property(secret, template, breaks, lengths, fc.nat(60), (secret, template, breaks, length, more) => {
        const { told, errors } = listen();
        let rest = `${'x '.repeat((length + more) / 2)}${template.replaceAll('@@@', secret)} and so on\n`;
        errors.take(rest.slice(0, length));
        rest = rest.slice(length);
        for (const at of breaks) {
          errors.take(rest.slice(0, at));
          rest = rest.slice(at);
        }
        errors.take(rest);
        errors.flush();

        const shown = told.map(({ text }) => text).join('\n');
        for (let at = 0; at + PART <= secret.length; at++)
          expect(shown).not.toContain(secret.slice(at, at + PART));
      }),
      { numRuns: 1_000 },
    );
  });
});

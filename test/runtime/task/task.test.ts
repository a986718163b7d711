import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rejection } from '../../../runtime/errors.ts';
import { hopHeaders, withoutHopHeaders } from '../../../runtime/task/hop.ts';
import { parseTask, type TaskMessage, taskBody } from '../../../runtime/task/task.ts';
import { words } from '../../support/words.ts';

const STEPS = [
  { filter: 'resize', params: { width: 8 } },
  { filter: 'blur', params: { radius: 1 } },
];

function message(body: unknown, more: Partial<TaskMessage> = {}): TaskMessage {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  return { body: bytes, properties: { contentType: 'application/json' }, headers: {}, ...more };
}

describe('a message', () => {
  it('becomes a task at its first step', () => {
    const { task, hop } = parseTask(
      message({ id: 'a', input: 'in.jpg', steps: STEPS, output: { key: 'o.webp', quality: 80 }, timeout: 5 }),
      'resize',
    );

    expect(task).toMatchObject({
      id: 'a',
      input: 'in.jpg',
      steps: STEPS,
      output: { key: 'o.webp', quality: 80 },
      timeoutMs: 5_000,
    });
    expect(hop).toMatchObject({ step: 0, attempt: 0, generation: 0, inline: false });
  });

  it('takes its id from the body, else from message_id, else gets one', () => {
    const body = { input: 'in.jpg', steps: STEPS };
    const properties = { contentType: 'application/json', messageId: 'from-message' };

    expect(parseTask(message({ ...body, id: 'from-body' }, { properties }), 'resize').task.id).toBe(
      'from-body',
    );
    expect(parseTask(message(body, { properties }), 'resize').task.id).toBe('from-message');
    expect(parseTask(message(body), 'resize').task.id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('says since when it waits: by our header to the millisecond, by the timestamp to the second', () => {
    const body = { input: 'in.jpg', steps: STEPS };

    expect(
      parseTask(message(body, { headers: { 'darkroom-published-ms': 1_700_000_000_123 } }), 'resize').hop
        .publishedMs,
    ).toBe(1_700_000_000_123);
    expect(
      parseTask(message(body, { properties: { timestamp: 1_700_000_000 } }), 'resize').hop.publishedMs,
    ).toBe(1_700_000_000_000);
    expect(parseTask(message(body), 'resize').hop.publishedMs).toBeNull();
    expect(
      parseTask(message(body, { properties: { timestamp: 1e19 } }), 'resize').hop.publishedMs,
    ).toBeNull();
  });

  it('keeps id, fingerprint and place over a hop', () => {
    const first = parseTask(message({ input: 'in.jpg', steps: STEPS }), 'resize');
    const next = {
      ...first.hop,
      step: 1,
      history: [{ filter: 'resize', attempt: 0, queue_ms: 3, work_ms: 4 }],
    };

    const again = parseTask(
      message({ input: 'in.jpg', steps: STEPS }, { headers: hopHeaders(first.task, next) }),
      'blur',
    );

    expect(again.task).toEqual(first.task);
    expect(again.hop).toEqual(next);
  });

  it('that is an image keeps its steps in a header, and becomes JSON afterwards', () => {
    const headers = { 'darkroom-steps': JSON.stringify(STEPS), 'darkroom-output': '{"format":"png"}' };
    const first = parseTask(
      message(Buffer.from([1, 2, 3]), { properties: { contentType: 'image/png', messageId: 'i' }, headers }),
      'resize',
    );
    expect(first).toMatchObject({
      task: { id: 'i', input: undefined, output: { format: 'png' } },
      hop: { inline: true },
    });

    const second = parseTask(
      message(taskBody(first.task), { headers: hopHeaders(first.task, { ...first.hop, step: 1 }) }),
      'blur',
    );

    expect(second.task).toEqual(first.task);
    expect(second.hop).toMatchObject({ inline: true, step: 1 });
  });

  it('with another input, step or output has another fingerprint', () => {
    const of = (body: object) => parseTask(message(body), 'resize').task.fingerprint;
    const base = { id: 'a', input: 'in.jpg', steps: STEPS };
    const others = [
      { ...base, input: 'other.jpg' },
      { ...base, steps: STEPS.slice(0, 1) },
      { ...base, output: { quality: 3 } },
    ];

    expect(of(base)).toBe(of({ ...base }));
    expect(new Set([base, ...others].map(of)).size).toBe(4);
  });

  it.each([
    ['another order of keys', '{"steps":[{"params":{"b":2,"a":1},"filter":"resize"}],"input":"in.jpg"}'],
    ['1.0 for 1', '{"input":"in.jpg","steps":[{"filter":"resize","params":{"a":1.0,"b":2}}]}'],
    [
      'an empty output',
      '{"input":"in.jpg","steps":[{"filter":"resize","params":{"a":1,"b":2}}],"output":{}}',
    ],
    ['a null', '{"input":"in.jpg","steps":[{"filter":"resize","params":{"a":1,"b":2,"c":null}}]}'],
    [
      'an id of another field',
      '{"input":"in.jpg","steps":[{"filter":"resize","params":{"a":1,"b":2}}],"timeout":5}',
    ],
  ])('with %s is the same task', (_, other) => {
    const written = { input: 'in.jpg', steps: [{ filter: 'resize', params: { a: 1, b: 2 } }] };
    const { fingerprint } = parseTask(message(written), 'resize').task;
    expect(parseTask(message(Buffer.from(other)), 'resize').task.fingerprint).toBe(fingerprint);
  });

  it('that is not our own says nothing of where its task stands', () => {
    const task = parseTask(message({ id: 'a', input: 'in.jpg', steps: STEPS }), 'resize');
    const hop = {
      ...task.hop,
      step: 1,
      attempt: 3,
      generation: 2,
      restarts: 2,
      seenMs: 1,
      wasGivenBack: true,
      isSuspect: true,
    };
    const forged = { ...hopHeaders({ ...task.task, id: 'b', fingerprint: 'f' }, hop), tenant: 'x' };
    const read = parseTask(
      message({ id: 'a', input: 'in.jpg', steps: STEPS }, { headers: withoutHopHeaders(forged) }),
      'resize',
    );
    expect(read.task).toEqual(task.task);
    expect(read.hop).toMatchObject({ step: 0, attempt: 0, generation: 0, restarts: 0, seenMs: null });
    expect(read.hop).toMatchObject({ wasGivenBack: false, isSuspect: false });
    expect(withoutHopHeaders(forged)).toHaveProperty('tenant', 'x');
  });

  it('said to come from the future waits since nobody knows when', () => {
    const headers = { 'darkroom-published-ms': Date.now() + 86_400_000 };
    const { hop } = parseTask(message({ input: 'in.jpg', steps: STEPS }, { headers }), 'resize');
    expect(hop).toMatchObject({ publishedMs: null, submittedMs: null });
  });

  it.each([
    ['nothing', Buffer.alloc(0), /not JSON/],
    ['a list', [], /a list; expected a JSON object/],
    ['no steps and no params', { input: 'a.jpg', step: [] }, /step: unknown.*/],
    ['empty steps', { input: 'a.jpg', steps: [] }, /steps: expected/],
    ['too many steps', { input: 'a.jpg', steps: Array(21).fill(STEPS[0]) }, /steps: expected/],
    ['a filter that is a path', { input: 'a.jpg', steps: [{ filter: '../evil' }] }, /steps\[0\]\.filter/],
    ['an id that is a number', { id: 7, input: 'a.jpg', steps: STEPS }, /id: expected/],
    ['an id that is too long', { id: 'x'.repeat(201), input: 'a.jpg', steps: STEPS }, /id: expected/],
    [
      'an id too long for AMQP',
      { id: '日'.repeat(70), input: 'a.jpg', params: {} },
      /id: expected at most 200 bytes/,
    ],
    ['a negative timeout', { input: 'a.jpg', steps: STEPS, timeout: -1 }, /timeout: expected/],
    ['a timeout that nothing can keep', { input: 'a.jpg', steps: STEPS, timeout: 1e-9 }, /timeout: expected/],
    [
      'parameters nested without end',
      Buffer.from(`{"input":"a.jpg","params":${'{"a":'.repeat(4_000)}1${'}'.repeat(4_000)}}`),
      /nested more than 20 levels deep/,
    ],
    [
      'lists nested without end',
      Buffer.from(`{"input":"a.jpg","params":{"a":${'['.repeat(400_000)}${']'.repeat(400_000)}}}`),
      /nested more than 20 levels deep/,
    ],
    [
      'a crowd of values',
      { input: 'a.jpg', params: { list: Array(20_000).fill(0) } },
      /more than 10000 values/,
    ],
    [
      'an output over its own input',
      { input: 'photos/a.jpg', steps: STEPS, output: { key: 'photos/a.jpg' } },
      /output\.key: is the input itself/,
    ],
    ['no input', { steps: STEPS }, /input: expected/],
    [
      'an output into the runtime’s folder',
      { input: 'a.jpg', steps: STEPS, output: { key: '.darkroom/ended/a.json' } },
      /output\.key/,
    ],
  ])('with %s is refused in words', (_, body, words) => {
    expect(() => parseTask(message(body), 'resize')).toThrow(Rejection);
    expect(() => parseTask(message(body), 'resize')).toThrow(words);
  });

  it('that is refused is refused in a few words, without the secrets that it holds', () => {
    const secret = 'https://user:hunter2@example.com/?token=hunter2';
    const unknown = Object.fromEntries(Array.from({ length: 9_000 }, (_, at) => [`${secret}${at}`, 1]));
    expect(() => parseTask(message({ input: 'a.jpg', steps: STEPS, ...unknown }), 'resize')).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('hunter2') }),
    );
    try {
      parseTask(message({ input: 'a.jpg', steps: STEPS, ...unknown }), 'resize');
    } catch (error) {
      expect((error as Error).message.length).toBeLessThanOrEqual(2_000);
    }
  });

  it('of any kind gives a task or a Rejection, nothing else', () => {
    const header = fc.oneof(
      fc.string(),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
      fc.array(fc.integer()),
      fc.object(),
    );
    const names = fc.constantFrom(
      ...words(`
        darkroom-id darkroom-step darkroom-attempt darkroom-steps darkroom-output darkroom-history
        darkroom-generation darkroom-inline darkroom-fingerprint
      `),
    );
    const body = fc.oneof(
      fc.json().map(Buffer.from),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      fc.object().map((o) => Buffer.from(JSON.stringify({ input: 'a', steps: STEPS, ...o }))),
    );
    const contentType = fc.constantFrom('application/json', 'image/png', 'text/plain', undefined);
    fc.assert(
      fc.property(body, contentType, fc.dictionary(names, header), (bytes, type, headers) => {
        try {
          return (
            parseTask({ body: bytes, properties: { ...(type && { contentType: type }) }, headers }, 'resize')
              .task.steps.length > 0
          );
        } catch (error) {
          return error instanceof Rejection;
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

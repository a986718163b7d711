/** Messages as a careless or hostile publisher might send them: valid, nearly valid, garbage, with headers of every type. */
import fc from 'fast-check';
import type { PublishProperties } from '../../../runtime/amqp/broker.ts';
import { words } from '../../support/words.ts';
import { outsizeTask } from './outsize-tasks.ts';
import { addresses, wildHeaders, withoutDeath } from './wild-headers.ts';

export interface WildMessage {
  body: Buffer;
  filter: string;
  properties: PublishProperties;
  /** The task's id, where its reply goes somewhere else. */
  toldAs?: string;
}

export interface WildSite {
  photo: Buffer;
  filters: readonly string[];
  /** Queues that no reply may go to. */
  queues: readonly string[];
}

const CONTENT_TYPES = words('image/png image/ image/x IMAGE/PNG text/plain');

/** `unique` becomes part of every id and key, so that two messages do not share one by chance. */
export type MakeMessage = (unique: string) => WildMessage;

export function wildMessage(site: WildSite): fc.Arbitrary<MakeMessage> {
  return fc.oneof(
    { weight: 9, arbitrary: strangeMessage(site) },
    { weight: 1, arbitrary: addressedMessage(site) },
  );
}

/** A good task, whose message would go, or have its reply go, where its sender has no business. */
function addressedMessage({ filters, queues }: WildSite): fc.Arbitrary<MakeMessage> {
  return fc
    .record({ body: validTask(filters), filter: fc.constantFrom(...filters), to: addresses(queues, filters) })
    .map(({ body, filter, to }) => (unique) => ({
      body: body(unique),
      filter,
      properties: { contentType: 'application/json', ...to },
      ...(to.replyTo !== undefined && { toldAs: unique }),
    }));
}

function strangeMessage({ photo, filters }: WildSite): fc.Arbitrary<MakeMessage> {
  return fc
    .record({
      body: fc.oneof(
        { weight: 1, arbitrary: validTask(filters) },
        { weight: 8, arbitrary: nearlyValidTask(filters) },
        { weight: 4, arbitrary: brokenJson(filters) },
        { weight: 2, arbitrary: outsizeTask(filters) },
        { weight: 6, arbitrary: garbage(photo) },
      ),
      filter: fc.constantFrom(...filters),
      contentType: fc.oneof(
        { weight: 6, arbitrary: fc.constant('application/json') },
        { weight: 1, arbitrary: fc.constantFrom(...CONTENT_TYPES, '', undefined) },
        { weight: 1, arbitrary: fc.string({ maxLength: 40 }) },
      ),
      headers: wildHeaders(),
      properties: wildProperties(),
    })
    .map(({ body, filter, contentType, headers, properties }) => (unique) => ({
      body: body(unique),
      filter,
      properties: {
        ...properties,
        ...(contentType !== undefined && { contentType }),
        headers: withoutDeath(headers(unique), properties.expiration !== undefined),
        ...(properties.messageId !== undefined && {
          messageId: `${properties.messageId.slice(0, 60)}${unique}`,
        }),
      },
    }));
}

export type MakeBody = (unique: string) => Buffer;

export function validTask(filters: readonly string[]): fc.Arbitrary<MakeBody> {
  return plainTask(filters).map((task) => (unique) => json({ ...task, id: unique }));
}

function plainTask(filters: readonly string[]) {
  const step = fc.constantFrom(...filters).map((filter) => ({ filter, params: GOOD_PARAMS[filter] ?? {} }));
  return fc.record(
    {
      input: fc.constantFrom('photo.png', 'photo.png', 'photo.png', 'nothing.png', 'words.txt'),
      steps: fc.array(step, { minLength: 1, maxLength: 2 }),
      output: fc.record({ format: fc.constantFrom('png', 'webp', 'jpeg') }),
      timeout: fc.constantFrom(5, 30, 86_400),
    },
    { requiredKeys: ['input', 'steps'] },
  );
}

const GOOD_PARAMS: Record<string, Record<string, unknown>> = {
  resize: { width: 5, height: 4 },
  brightness: { factor: 1.1 },
  flip: { direction: 'vertical' },
};

/** A valid task in which one place, at any depth, is replaced, removed or added to. */
export function nearlyValidTask(filters: readonly string[]): fc.Arbitrary<MakeBody> {
  return fc
    .record({
      task: plainTask(filters),
      at: fc.nat(1_000),
      how: fc.constantFrom('replace', 'remove', 'add'),
      value: strangeValue(),
    })
    .map(({ task, at, how, value }) => (unique) => {
      const root = { id: unique, ...structuredClone(task) } as Record<string, unknown>;
      const places = placesOf(root);
      const [holder, key] = places[at % places.length]!;
      if (how === 'remove') delete holder[key];
      else if (how === 'replace') holder[key] = value;
      else holder[`${key}x`] = value;
      // An id of its own, whatever became of it: two tasks with one id would hide each other's outcome.
      if (typeof root.id === 'string') root.id = `${root.id.slice(0, 100)}${unique}`;
      const output = root.output as { key?: unknown } | undefined;
      if (typeof output?.key === 'string') output.key = `${output.key}${unique}`;
      return json(root);
    });
}

/** Every key of every object, depth first. */
function placesOf(value: unknown): [Record<string, unknown>, string][] {
  if (typeof value !== 'object' || value === null) return [];
  const holder = value as Record<string, unknown>;
  return Object.keys(holder).flatMap((key) => [
    [holder, key] as [Record<string, unknown>, string],
    ...placesOf(holder[key]),
  ]);
}

const STRANGE_VALUES =
  '[null,true,false,"",0,-0,-1,1e308,-1e308,5e-324,9007199254740992,-9223372036854775808,0.5,[],{},[[]]]';

function strangeValue(): fc.Arbitrary<unknown> {
  return fc.oneof(
    fc.constantFrom<unknown>(...JSON.parse(STRANGE_VALUES)),
    fc.constantFrom(
      '../../etc/passwd',
      '/etc/passwd',
      'a\u0000b',
      ...words(`
        http://169.254.169.254/ s3://other/key file:///etc/passwd __proto__ constructor NaN photo.png/
        .darkroom/ended/x
      `),
      'x'.repeat(5_000),
    ),
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.double(),
    fc.integer(),
    fc.jsonValue({ maxDepth: 3 }),
  );
}

/** JSON that is cut off, nested without end, or says the same thing twice. */
function brokenJson(filters: readonly string[]): fc.Arbitrary<MakeBody> {
  return fc.oneof(
    fc
      .tuple(plainTask(filters), fc.double({ min: 0, max: 1, noNaN: true }))
      .map(([task, share]) => (unique: string) => {
        const whole = json({ ...task, id: unique });
        return whole.subarray(0, Math.floor(whole.length * share));
      }),
    fc
      .integer({ min: 1, max: 20_000 })
      .map((depth) => () => Buffer.from('['.repeat(depth) + ']'.repeat(depth))),
    fc
      .constantFrom(
        ...words(`
          NaN Infinity -1e999 "text" null true [] {} {"__proto__":{"input":"photo.png"}}
          {"input":"photo.png","steps":[]} {"input":"photo.png","steps":{}} {"steps":null}
        `),
        '\ufeff{}',
      )
      .map((text) => () => Buffer.from(text)),
    fc
      .integer({ min: 21, max: 3_000 })
      .map(
        (count) => (unique: string) =>
          json({ id: unique, input: 'photo.png', steps: Array(count).fill({ filter: 'flip' }) }),
      ),
  );
}

export function garbage(photo: Buffer): fc.Arbitrary<MakeBody> {
  return fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => () => Buffer.from(bytes)),
    fc.string({ unit: 'binary', maxLength: 300 }).map((text) => () => Buffer.from(text)),
    fc.constant(() => photo),
    fc.nat(photo.length).map((end) => () => photo.subarray(0, end)),
  );
}

export function wildProperties(): fc.Arbitrary<PublishProperties & { messageId?: string }> {
  return fc.record(
    {
      priority: fc.nat(255),
      messageId: fc.string({ unit: 'binary', maxLength: 60 }).filter((text) => Buffer.byteLength(text) < 100),
      timestamp: fc.constantFrom(0, 1, 1_700_000_000, 1_700_000_000_000, 2 ** 53, 8.64e15, 1e19),
      type: fc.string({ maxLength: 30 }),
      appId: fc.string({ maxLength: 30 }),
      contentEncoding: fc.constantFrom('gzip', 'utf-8', ''),
      persistent: fc.boolean(),
      // Not even the sender's own name.
      userId: fc.constant(undefined),
      expiration: fc.oneof(
        { weight: 30, arbitrary: fc.constantFrom('600000', '4294967295') },
        { weight: 1, arbitrary: fc.constantFrom('0', '1') },
      ),
    },
    { requiredKeys: [] },
  );
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

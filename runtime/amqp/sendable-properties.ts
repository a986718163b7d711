/**
 * Message properties in a form that amqplib can receive and send on. It guesses the type of a number, takes a table
 * with a "!" for its own notation, refuses long text and overflows its stack on deep tables: without this, a message
 * that came in whole could not go out again, or would end the connection.
 */

import type { ChannelModel, MessageProperties } from 'amqplib';

/** The longest short string in AMQP. Text that was not UTF-8 grows when it is read as such. */
const SHORT_STRING_BYTES = 255;
/** From this size on amqplib takes every number for a 64-bit integer: a fraction, or one below −2⁶³, makes it throw. */
const TAKEN_FOR_WHOLE = 2 ** 50;
const INT64_MIN = -(2 ** 63);
const UINT64_MAX = 2n ** 64n - 1n;
const UINT32_MAX = 2n ** 32n - 1n;
/** Deeper tables and lists are left out: whatever walks them, amqplib too, calls itself at each level. */
const MAX_DEPTH = 50;
const LONGEST_NUMBER_BYTES = 8;
/** amqplib throws for headers that are longer when encoded. A frame, and so what comes in, may hold twice as much. */
const MAX_HEADERS_BYTES = 65_536;
/** What a task needs, and its trace: left out last. */
const KEPT_LONGEST = /^(darkroom-.*|traceparent|tracestate)$/;
/** The header that names what was left out, itself kept short. */
const LEFT_OUT = 'darkroom-left-out';
const LEFT_OUT_CHARACTERS = 1_000;
/**
 * RabbitMQ puts the address of the asker in its place, but not for clients of AMQP 1.0. Sent on, it would close the
 * channel: there is no asker. https://www.rabbitmq.com/docs/direct-reply-to
 */
const DIRECT_REPLY_TO = 'amq.rabbitmq.reply-to';
const SHORT_STRINGS = [
  'contentType',
  'contentEncoding',
  'correlationId',
  'replyTo',
  'expiration',
  'messageId',
  'type',
  'userId',
  'appId',
  'clusterId',
] as const;

/** The same properties without what cannot be sent; `headers` is never undefined. */
export function sendableProperties(properties: MessageProperties): MessageProperties {
  const sendable = { ...properties, headers: sendableTable(properties.headers ?? {}, 0) };
  for (const name of SHORT_STRINGS) {
    const text: unknown = sendable[name];
    if (typeof text === 'string' && Buffer.byteLength(text) > SHORT_STRING_BYTES) sendable[name] = undefined;
  }
  if (sendable.replyTo === DIRECT_REPLY_TO) sendable.replyTo = undefined;
  if (sendable.timestamp !== undefined && !isWhole(sendable.timestamp, UINT64_MAX))
    sendable.timestamp = undefined;
  return sendable;
}

/**
 * The same headers if amqplib can send them, else without the largest; our own and those of the trace go last. The
 * header `darkroom-left-out` names what is missing.
 */
export function fittingHeaders(headers: Record<string, unknown>): Record<string, unknown> {
  if (bytesOf(headers) <= MAX_HEADERS_BYTES) return headers;
  const kept = { ...headers };
  const leftOut = typeof kept[LEFT_OUT] === 'string' ? [kept[LEFT_OUT]] : [];
  const candidates = Object.keys(headers)
    .map((name) => ({ name, isOurs: KEPT_LONGEST.test(name), bytes: bytesOf(headers[name]) }))
    .sort((a, b) => Number(a.isOurs) - Number(b.isOurs) || b.bytes - a.bytes);
  for (const { name } of candidates) {
    delete kept[name];
    if (name !== LEFT_OUT) leftOut.push(name);
    kept[LEFT_OUT] = leftOut.join(', ').slice(0, LEFT_OUT_CHARACTERS);
    if (bytesOf(kept) <= MAX_HEADERS_BYTES) break;
  }
  return kept;
}

/** The most bytes that amqplib needs for a value, without the tag that it has in a table or list. */
function bytesOf(value: unknown): number {
  if (typeof value === 'string') return 4 + Buffer.byteLength(value);
  if (Buffer.isBuffer(value)) return 4 + value.length;
  if (typeof value !== 'object' || value === null) return LONGEST_NUMBER_BYTES;
  if (Array.isArray(value)) return value.reduce((sum, item) => sum + 1 + bytesOf(item), 4);
  if (Object.hasOwn(value, '!')) return LONGEST_NUMBER_BYTES;
  return Object.entries(value).reduce(
    (sum, [key, item]) => (item === undefined ? sum : sum + 2 + Buffer.byteLength(key) + bytesOf(item)),
    4,
  );
}

function sendableTable(entries: Record<string, unknown>, depth: number): Record<string, unknown> {
  const sendable = Object.entries(entries).map(
    ([key, value]) => [key, sendableValue(value, depth + 1)] as const,
  );
  return Object.fromEntries(
    sendable.filter(([key, value]) => value !== undefined && Buffer.byteLength(key) <= SHORT_STRING_BYTES),
  );
}

/** Undefined when the value cannot be sent. */
function sendableValue(value: unknown, depth: number): unknown {
  if (typeof value === 'number') {
    // Erlang has neither NaN nor infinities: RabbitMQ would end the connection.
    if (!Number.isFinite(value)) return undefined;
    const isMistaken = value < INT64_MIN || (Math.abs(value) >= TAKEN_FOR_WHOLE && !Number.isInteger(value));
    return isMistaken ? { '!': 'double', value } : value;
  }
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value;
  if (depth > MAX_DEPTH) return undefined;
  if (Array.isArray(value))
    return value.map((item) => sendableValue(item, depth + 1)).filter((item) => item !== undefined);
  if (Object.hasOwn(value, '!')) return isNotation(value as Record<string, unknown>) ? value : undefined;
  return sendableTable(value as Record<string, unknown>, depth);
}

/** Whether this is amqplib's notation for the two types that JavaScript lacks, and not a table that looks like it. */
function isNotation({ '!': type, value }: Record<string, unknown>): boolean {
  if (type === 'timestamp') return isWhole(value, UINT64_MAX);
  if (type !== 'decimal' || typeof value !== 'object' || value === null) return false;
  const { places, digits } = value as Record<string, unknown>;
  return isWhole(places, 255n) && isWhole(digits, UINT32_MAX);
}

function isWhole(value: unknown, max: bigint): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && BigInt(value) <= max;
}

interface FrameReceiver {
  rest: Buffer;
  recvFrame(): unknown;
}

const HEADER_FRAME = 2;
/** Type, channel, size of the payload; then class, weight, size of the body. */
const FRAME_AT = { channel: 1, classId: 7, bodySize: 11 } as const;

/**
 * Receives a message whose headers are nested too deeply without them. amqplib decodes tables and lists by calling
 * itself: some thousand levels overflow the stack, which would end the connection at every delivery of that message.
 * An amqplib that is built otherwise is left alone.
 */
export function tolerateDeepHeaders(model: ChannelModel) {
  const connection = (model as unknown as { connection?: Partial<FrameReceiver> }).connection;
  if (typeof connection?.recvFrame !== 'function' || !Buffer.isBuffer(connection.rest)) return;
  const receiver = connection as FrameReceiver;
  const receive = connection.recvFrame;
  // It calls itself, and so this function, until a frame is complete: that frame is then at the front of `rest`.
  receiver.recvFrame = () => {
    const { rest } = receiver;
    try {
      return receive.call(receiver);
    } catch (error) {
      if (!(error instanceof RangeError) || rest[0] !== HEADER_FRAME) throw error;
      return {
        id: rest.readUInt16BE(FRAME_AT.classId),
        channel: rest.readUInt16BE(FRAME_AT.channel),
        size: Number(rest.readBigUInt64BE(FRAME_AT.bodySize)),
        fields: { headers: {} },
      };
    }
  };
}

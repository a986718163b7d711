/** No secret that a URL or a message may carry is left after redaction. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { capText, redactText, redactUrl, shorten } from '../../runtime/redact.ts';
import { words } from '../support/words.ts';

const CANARY = 'cAnArY7Z';

const SECRETS = [
  ...words(`
    amqp://user:@@@@broker/vhost amqps://user:@@@@broker:5671/%2f?heartbeat=10 https://@@@@host/x
    https://user:pa@@@@@host/x postgres://u:@@@@[::1]:5432/db amqp://user:@@@/x@broker/
    amqp://user:@@@?x@broker/ amqp://user:@@@#x@broker/ https://user:%40@@@@host/ redis://:@@@@host/0
    https://bucket.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=@@@%2F20260101%2Feu%2Fs3%2Faws4_request&X-Amz-Signature=@@@&X-Amz-Security-Token=@@@
    https://x/k?AWSAccessKeyId=@@@&Signature=@@@%2Babc%3D&Expires=1
    https://x.blob.core.windows.net/c/b?sv=2024&sig=@@@%3D&se=2026
    https://storage.googleapis.com/b/o?X-Goog-Signature=@@@&X-Goog-Credential=@@@
    https://x/k?Policy=@@@&Key-Pair-Id=@@@&Signature=@@@ https://x/?token=@@@
    https://x/?access_token=@@@#access_token=@@@ https://x/?api_key=@@@&apikey=@@@&api-key=@@@
    https://x/?a=1;token=@@@ https://x/?a=1&amp;token=@@@ https://x/?refresh_token=@@@&client_secret=@@@
    https://x/?code=@@@&password=@@@&pwd=@@@ https://maps.example/?key=@@@
    https://x/?jwt=@@@&sessionid=@@@&auth=@@@
    https://proxy/?url=https%3A%2F%2Fuser%3A@@@%40host%2F%3FX-Amz-Signature%3D@@@%26token%3D@@@
    {"url":"https://x/?a=1\\u0026sig=@@@"}
  `),
  'Authorization: Bearer @@@',
  'authorization: Basic @@@==',
  '"authorization":"Bearer @@@.@@@"',
  'proxy-authorization=Basic @@@',
  'sent Bearer @@@abc',
  'Authorization: AWS4-HMAC-SHA256 Credential=@@@/20260101/eu/s3/aws4_request, SignedHeaders=host, Signature=@@@',
  'AWS_SECRET_ACCESS_KEY=@@@',
  'AWS_SESSION_TOKEN=@@@',
  '{"password":"@@@"}',
  '{"accessKey": "@@@"}',
  'AMQP_KEY_PASSPHRASE=@@@',
  'DefaultEndpointsProtocol=https;AccountKey=@@@',
  '-----BEGIN PRIVATE KEY-----\n@@@\n-----END PRIVATE KEY-----',
  '-----BEGIN RSA PRIVATE KEY-----\n@@@',
];

const MORE_SECRETS = [
  'https://x/y?@@@',
  'https://x/?ticket=@@@&x=1',
  'GET /callback?state=@@@',
  'https://x/#state=@@@',
  "https://x/?a=b'@@@",
  "{ AWS_SECRET_ACCESS_KEY: '@@@', AWS_SESSION_TOKEN: '@@@' }",
  'password: "@@@"',
  "password='@@@'",
  'Cookie: session=@@@; other=@@@',
  'set-cookie: @@@',
  'x-api-key: @@@',
  'X-Amz-Security-Token: @@@',
];

describe.each([
  ['alone', (text: string) => text],
  [
    'in a sentence',
    (text: string) => `Cannot fetch ${text}: connection refused (see https://docs.example/x).`,
  ],
  ['in quotes', (text: string) => `input "${text}" failed`],
  ['in brackets', (text: string) => `failed (${text}), [${text}], <${text}>`],
  ['in lines', (text: string) => `one\n${text}\nthree`],
  ['in JSON', (text: string) => JSON.stringify({ error: { message: `at ${text}` } })],
  ['in capitals', (text: string) => text.toUpperCase()],
])('a secret %s', (_where, put) => {
  test.each([...SECRETS, ...MORE_SECRETS])('is gone from %j', (secret) => {
    const text = put(secret.replaceAll('@@@', CANARY));

    expect(redactText(text).toLowerCase()).not.toContain(CANARY.toLowerCase());
  });
});

test.each([
  'https://images.example/cat@2x.png',
  'https://host:8443/@user/photo',
  'Nothing is stored under "photos/cat.jpg" in file:///data.',
  'params.token: expected a string, got 5',
  'https://[::1]:443/@x',
  'Expected s3://bucket/prefix?endpoint=https://…&region=…&forcePathStyle=….',
  'Is it there? See https://docs.example/page#section, or ask (https://help.example/?).',
  'image registry.example:5000/darkroom',
  'amqp://broker:5672/vhost',
  'mail me@example.com about https://example.com',
  'step 2 of 3 in 14:05:09, see http://localhost:9090/metrics @ noon',
  'keyboard=1 monkey=2',
])('leaves %j as it is', (text) => {
  expect(redactText(text)).toBe(text);
});

test('keeps what helps to find the fault', () => {
  expect(redactUrl('amqps://worker:secret@broker:5671/prod')).toBe('amqps://REDACTED@broker:5671/prod');
  expect(redactUrl(new URL('https://b.example/k.png?X-Amz-Expires=60&X-Amz-Signature=abc&v=2'))).toBe(
    'https://b.example/k.png?REDACTED',
  );
});

test.each([
  ['https://images.example/cat@2x.png?width=800&format=webp', 'https://images.example/cat@2x.png?REDACTED'],
  ['s3://bucket/images?endpoint=http%3A%2F%2F127.0.0.1%3A9000&region=eu', 's3://bucket/images?REDACTED'],
  ['read https://x/y?secret (status 403)', 'read https://x/y?REDACTED (status 403)'],
  ['GET /upload?name=it\'s"here;now, then', 'GET /upload?REDACTED then'],
  ['see https://x/y#id_token=abc.', 'see https://x/y#REDACTED'],
  ['{"a":"https://x/?q=1","b":2}', '{"a":"https://x/?REDACTED","b":2}'],
  ['https://proxy/https%3A%2F%2Fx%2F%3Fticket%3Dabc', 'https://proxy/https%3A%2F%2Fx%2F%3FREDACTED'],
])('drops the whole query of %j, since any name may stand for a secret', (text, shown) => {
  expect(redactText(text)).toBe(shown);
});

describe('no part of a secret is left', () => {
  const PART = 8;
  const secret = fc.stringMatching(/^[A-Za-z0-9]{12,40}$/);
  const word = fc.stringMatching(/^[a-z ,.]{0,30}$/);
  const text = fc
    .record({ secret, template: fc.constantFrom(...SECRETS, ...MORE_SECRETS), before: word, after: word })
    .map(({ secret, template, before, after }) => ({
      secret,
      text: `${before} ${template.replaceAll('@@@', secret)} ${after}`,
    }));
  const cut = fc.double({ min: 0, max: 1, noNaN: true });

  test.each([
    ['when it is cut to any length', (text: string, length: number) => capText(text, length)],
    ['of a text that was cut before', (text: string, length: number) => redactText(text.slice(0, length))],
    [
      'of a text that was cut before, with an ellipsis',
      (text: string, length: number) => redactText(`${text.slice(0, length)}…`),
    ],
  ])('%s', (_, shownOf) => {
    fc.assert(
      fc.property(text, cut, ({ text, secret }, share) => {
        const shown = shownOf(text, Math.round(share * text.length)).toLowerCase();
        for (let at = 0; at + PART <= secret.length; at++)
          expect(shown).not.toContain(secret.slice(at, at + PART).toLowerCase());
      }),
      { numRuns: 3_000 },
    );
  });
});

test('is the same when done twice', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constantFrom(...SECRETS), fc.string({ maxLength: 8 })), { maxLength: 5 }),
      (parts) => {
        const once = redactText(parts.join(' '));
        expect(redactText(once)).toBe(once);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('takes no more than linear time', () => {
  const costMs = (text: string) => {
    const start = performance.now();
    redactText(text);
    return performance.now() - start;
  };
  for (const part of [
    ...words('a. a://x:y :// token ?sig "password":'),
    '-----BEGIN PRIVATE KEY-----',
    'authorization ',
    '%3a%2f%2f',
    '@',
    'x-amz-',
  ]) {
    // A quadratic pattern would need hours for this; the bound is far above the 0.3 s that were measured.
    expect(costMs(part.repeat(Math.ceil(1_000_000 / part.length))), part).toBeLessThan(20_000);
  }
});

test('cuts long text after redaction', () => {
  expect(shorten('short')).toBe('short');
  expect(shorten('x'.repeat(500))).toHaveLength(201);
});

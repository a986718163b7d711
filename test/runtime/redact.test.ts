/** No secret that a URL or a message may carry is left after redaction. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { redactText, redactUrl, shorten } from '../../runtime/redact.ts';

const CANARY = 'cAnArY7Z';

const SECRETS = [
  'amqp://user:@@@@broker/vhost',
  'amqps://user:@@@@broker:5671/%2f?heartbeat=10',
  'https://@@@@host/x',
  'https://user:pa@@@@@host/x',
  'postgres://u:@@@@[::1]:5432/db',
  'amqp://user:@@@/x@broker/',
  'amqp://user:@@@?x@broker/',
  'amqp://user:@@@#x@broker/',
  'https://user:%40@@@@host/',
  'redis://:@@@@host/0',
  'https://bucket.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=@@@%2F20260101%2Feu%2Fs3%2Faws4_request&X-Amz-Signature=@@@&X-Amz-Security-Token=@@@',
  'https://x/k?AWSAccessKeyId=@@@&Signature=@@@%2Babc%3D&Expires=1',
  'https://x.blob.core.windows.net/c/b?sv=2024&sig=@@@%3D&se=2026',
  'https://storage.googleapis.com/b/o?X-Goog-Signature=@@@&X-Goog-Credential=@@@',
  'https://x/k?Policy=@@@&Key-Pair-Id=@@@&Signature=@@@',
  'https://x/?token=@@@',
  'https://x/?access_token=@@@#access_token=@@@',
  'https://x/?api_key=@@@&apikey=@@@&api-key=@@@',
  'https://x/?a=1;token=@@@',
  'https://x/?a=1&amp;token=@@@',
  'https://x/?refresh_token=@@@&client_secret=@@@',
  'https://x/?code=@@@&password=@@@&pwd=@@@',
  'https://maps.example/?key=@@@',
  'https://x/?jwt=@@@&sessionid=@@@&auth=@@@',
  'https://proxy/?url=https%3A%2F%2Fuser%3A@@@%40host%2F%3FX-Amz-Signature%3D@@@%26token%3D@@@',
  '{"url":"https://x/?a=1\\u0026sig=@@@"}',
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
  test.each(SECRETS)('is gone from %j', (secret) => {
    const text = put(secret.replaceAll('@@@', CANARY));

    expect(redactText(text).toLowerCase()).not.toContain(CANARY.toLowerCase());
  });
});

test.each([
  'https://images.example/cat@2x.png?width=800&format=webp',
  'https://host:8443/@user/photo',
  'Nothing is stored under "photos/cat.jpg" in file:///data.',
  'params.token: expected a string, got 5',
  'https://[::1]:443/@x',
  's3://bucket/images?endpoint=http%3A%2F%2F127.0.0.1%3A9000&region=us-east-1',
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
    'https://b.example/k.png?X-Amz-Expires=60&X-Amz-Signature=REDACTED&v=2',
  );
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
    'a.',
    'a://x:y',
    '://',
    'token',
    '?sig',
    '"password":',
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

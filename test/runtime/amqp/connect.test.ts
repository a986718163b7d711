import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { openTestBroker, testBroker, testQueue } from '../../support/rabbit.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';

const { amqpUrl } = await testBroker();
const { username, password } = new URL(amqpUrl);

function changed(change: (url: URL) => void): string {
  const url = new URL(amqpUrl);
  change(url);
  return url.href;
}

test('says in words why it cannot connect, and names no password', async () => {
  const cases: [url: string, words: RegExp][] = [
    [changed((url) => (url.password = 'not-this-one')), /refused the user name or password/],
    [changed((url) => (url.pathname = '/no-such-vhost')), /vhost does not exist|no-such-vhost/],
    [changed((url) => (url.hostname = 'no-such-host.invalid')), /host name cannot be resolved/],
    [changed((url) => (url.port = '1')), /nothing listens there/],
  ];
  for (const [url, words] of cases) {
    await using opened = openTestBroker(url);
    const { broker, logged } = opened;

    const ready = broker.ready(AbortSignal.timeout(1500));

    await expect(ready).rejects.toThrow(words);
    expect(broker.state).toMatchObject({ publish: 'connecting', lastError: expect.stringMatching(words) });
    expect(logged.join('\n')).toMatch(words);
    expect(`${logged.join('\n')} ${broker.state.lastError}`).not.toContain('not-this-one');
  }
});

test('gives up an attempt at a server that does not speak AMQP', async () => {
  const server = createServer((socket) => socket.write('220 mail.example ESMTP\r\n')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: mailPort } = server.address() as AddressInfo;
  await using opened = openTestBroker(`amqp://127.0.0.1:${mailPort}`, { connectTimeoutMs: 300 });

  await expect(opened.broker.ready(AbortSignal.timeout(1000))).rejects.toThrow(/RabbitMQ at 127\.0\.0\.1/);

  server.close();
});

test('reads the password file again at every attempt', async () => {
  await using folder = await temporaryFolder();
  const passwordFile = join(folder.path, 'password');
  await writeFile(passwordFile, 'out-of-date\n');
  await using opened = openTestBroker(
    changed((url) => (url.password = 'unused')),
    { passwordFile },
  );
  const { broker, logged } = opened;
  await until(() => broker.state.lastError?.includes('refused'), 'the refusal');

  await writeFile(passwordFile, `${decodeURIComponent(password)}\n`);

  await broker.ready(AbortSignal.timeout(10_000));
  expect(broker.state.lastError).toBeUndefined();
  expect(logged.join('\n')).not.toContain('out-of-date');
});

test('reads the user name from its file', async () => {
  await using folder = await temporaryFolder();
  const usernameFile = join(folder.path, 'username');
  await writeFile(usernameFile, decodeURIComponent(username));
  await using opened = openTestBroker(
    changed((url) => (url.username = 'nobody')),
    { usernameFile },
  );

  await opened.broker.ready(AbortSignal.timeout(10_000));
});

test('names the file that it cannot read', async () => {
  await using opened = openTestBroker(amqpUrl, { passwordFile: '/no/such/file' });

  await expect(opened.broker.ready(AbortSignal.timeout(300))).rejects.toThrow(
    /cannot read AMQP_PASSWORD_FILE \/no\/such\/file/,
  );
});

test('logs the same failure once, not at every attempt', async () => {
  await using opened = openTestBroker(changed((url) => (url.port = '1')));

  await opened.broker.ready(AbortSignal.timeout(1500)).catch(() => {});

  expect(opened.logged).toHaveLength(1);
});

test('closes at any time, also while connecting', async () => {
  await using proxy = await startFaultProxy(amqpUrl);
  proxy.blackHole();
  await using opened = openTestBroker(proxy.through(amqpUrl));

  await opened.broker.close();

  expect(opened.broker.state).toMatchObject({ consume: 'closed', publish: 'closed' });
  await expect(opened.broker.ready()).rejects.toThrow(/closed/);
});

/** AMQP method frames on channel 0, as a server that is about to fail sends them. */
const START =
  '0100000000001c' + '000a000a' + '0009' + '00000000' + '00000005504c41494e' + '00000005656e5f5553' + 'ce';
const TUNE = '0100000000000c' + '000a001e' + '07ff' + '00020000' + '0000' + 'ce';
const OPEN_OK = '01000000000005' + '000a0029' + '00' + 'ce';
const CLOSE_541 = '0100000000000b' + '000a0032' + '021d' + '00' + '0000' + '0000' + 'ce';

test('survives a server that closes the connection in the same breath as it opens it', async () => {
  const answers = [START, TUNE, OPEN_OK + CLOSE_541];
  const server = createServer((socket) => {
    let said = 0;
    socket.on('data', () => socket.write(Buffer.from(answers[said++] ?? '', 'hex')));
    socket.on('error', () => {});
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: failingPort } = server.address() as AddressInfo;
  await using opened = openTestBroker(`amqp://127.0.0.1:${failingPort}`);

  await expect(opened.broker.ready(AbortSignal.timeout(1000))).rejects.toThrow(/connection not set up .*541/);

  server.close();
});

/** More than RabbitMQ sends until a consumer is set up; the last cuts come in the first delivery. */
const SET_UP_BYTES = 700;
const AT_ONCE = 20;
/** Every seventh byte by default; CUT_STRIDE=1 cuts at each. */
const STRIDE = Number(process.env.CUT_STRIDE ?? 7);

test.each(['reset', 'end'] as const)(
  'recovers from a %s in the middle of the set-up, wherever it comes',
  { timeout: 120_000 },
  async (how) => {
    const offsets = Array.from({ length: Math.ceil(SET_UP_BYTES / STRIDE) }, (_, index) => index * STRIDE);

    const workers = Array.from({ length: AT_ONCE }, async () => {
      await using opened = openTestBroker(amqpUrl);
      await using queue = await testQueue(opened.broker);
      for (let offset = offsets.pop(); offset !== undefined; offset = offsets.pop()) {
        await cutAndRecover(queue.name, offset, how);
      }
    });

    await Promise.all(workers);
  },
);

/** Cuts the first connection, which publishes, or the second, which consumes; then a message has to get through. */
async function cutAndRecover(queue: string, offset: number, how: 'reset' | 'end') {
  await using proxy = await startFaultProxy(amqpUrl);
  await using opened = openTestBroker(proxy.through(amqpUrl), {
    connectTimeoutMs: 10_000,
    heartbeatMs: 60_000,
  });
  const { broker } = opened;
  if (offset % 2 === 0) await broker.ready();
  proxy.cutNext(offset, how);
  let delivered = false;

  const consumer = broker.consume(queue, (delivery) => {
    delivered = delivery.ack() || delivered;
  });
  const message = { exchange: '', routingKey: queue, body: Buffer.from('x'), mandatory: true };
  const published = () =>
    broker.publish(message).then(
      () => true,
      () => false,
    );

  await until(published, `a publish after a cut at byte ${offset}`);
  await until(() => delivered && consumer.consuming, `a delivery after a cut at byte ${offset}`);
}

import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ManagementClient, ManagementError } from '../../../runtime/cli/management.ts';
import { type HttpsServer, startHttpsServer } from '../../support/https-server.ts';
import { openTestBroker, testBroker, testQueue, uniqueName } from '../../support/rabbit.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';

const { amqpUrl, managementUrl } = await testBroker();
/** RabbitMQ samples its queues every five seconds, and twice in a row on the way to the API. */
const SAMPLED_MS = 25_000;

test('tells the version of the broker', async () => {
  const { rabbitmqVersion } = await new ManagementClient({ amqpUrl, managementUrl }).overview();

  expect(rabbitmqVersion).toMatch(/^\d+\.\d+\.\d+/);
});

test('counts ready and unacknowledged messages and consumers', { timeout: 60_000 }, async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const management = new ManagementClient({ amqpUrl, managementUrl });
  for (const body of ['1', '2', '3'])
    await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from(body) });
  const consumer = broker.consume(queue.name, () => {}, { prefetch: 1 });

  await until(
    async () => {
      // The API learns of queues, counts and consumers at its own pace.
      const found = (await management.queues()).find(({ name }) => name === queue.name);
      return found?.ready === 2 && found.unacked === 1 && found.consumers === 1;
    },
    'the counts',
    SAMPLED_MS,
  );

  expect(await management.queue(queue.name)).toMatchObject({
    name: queue.name,
    type: 'quorum',
    arguments: { 'x-queue-type': 'quorum' },
  });
  const consumers = await until(
    async () => {
      const found = (await management.consumers()).filter((consumer) => consumer.queue === queue.name);
      return found.length > 0 && found;
    },
    'the consumer',
    SAMPLED_MS,
  );
  expect(consumers).toMatchObject([{ prefetch: 1, active: true }]);
  expect((await management.queues()).map(({ name }) => name)).toContain(queue.name);
  await consumer.close();
});

test('says what is wrong when a queue is not there, or the password is, or nothing answers', async () => {
  const management = new ManagementClient({ amqpUrl, managementUrl });
  const name = uniqueName('none');
  await expect(management.queue(name)).rejects.toMatchObject({
    status: 404,
    message: expect.stringContaining(name),
  });

  const url = new URL(managementUrl ?? 'http://localhost:15672');
  url.username = 'guest';
  url.password = 'not-this-one';
  const refused = new ManagementClient({ amqpUrl, managementUrl: url.href }).overview();
  await expect(refused).rejects.toThrow(/refused the user name or password/);
  await expect(refused).rejects.not.toThrow(/not-this-one/);

  const nothing = new ManagementClient({ amqpUrl, managementUrl: 'http://127.0.0.1:1' }).overview();
  await expect(nothing).rejects.toBeInstanceOf(ManagementError);
  await expect(nothing).rejects.toThrow(/did not answer/);
});

test('gives up a management API that hangs', async () => {
  const server = createServer(() => {}).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const hanging = new ManagementClient({
    amqpUrl,
    managementUrl: `http://127.0.0.1:${port}`,
    timeoutMs: 100,
  }).overview();

  await expect(hanging).rejects.toThrow(/did not answer: timeout/);
  server.closeAllConnections();
  server.close();
});

function startApi(): Promise<HttpsServer> {
  return startHttpsServer(['localhost'], (_request, response) =>
    response.end('{"rabbitmq_version":"4.3.1"}'),
  );
}

test('asks over https with the certificate authority that it is told, and no other', async () => {
  await using api = await startApi();
  await using folder = await temporaryFolder();
  const caFile = join(folder.path, 'ca.pem');
  await writeFile(caFile, api.ca);
  const options = { amqpUrl, managementUrl: `https://localhost:${api.port}` };

  const trusting = await new ManagementClient({ ...options, caFile }).overview();
  const doubting = new ManagementClient(options).overview();

  expect(trusting.rabbitmqVersion).toBe('4.3.1');
  await expect(doubting).rejects.toThrow(/did not answer: self-signed certificate/);
});

test('logs in as the URL of the API says, else as the files, else as the AMQP URL', async () => {
  await using folder = await temporaryFolder();
  const [usernameFile, passwordFile] = [join(folder.path, 'username'), join(folder.path, 'password')];
  await writeFile(usernameFile, 'from-file\n');
  await writeFile(passwordFile, 'päss:word\n');
  const logins: (string | undefined)[] = [];
  const server = createServer(({ headers }, response) => {
    logins.push(Buffer.from(String(headers.authorization).slice('Basic '.length), 'base64').toString());
    response.end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const managementUrl = `http://127.0.0.1:${port}`;
  const files = { usernameFile, passwordFile };
  const withLogin = managementUrl.replace('//', '//monitor:p%25w@');

  for (const options of [
    { amqpUrl: 'amqp://user:pw@host', managementUrl: withLogin, ...files },
    { amqpUrl: 'amqp://user:pw@host', managementUrl, ...files },
    { amqpUrl: 'amqp://user:p%40w@host', managementUrl },
    { amqpUrl: 'amqp://host', managementUrl },
  ])
    await new ManagementClient(options).overview();

  expect(logins).toEqual(['monitor:p%w', 'from-file:päss:word', 'user:p@w', 'guest:guest']);
  server.closeAllConnections();
  server.close();
});

test('names the credential file that it cannot read', async () => {
  const unreadable = new ManagementClient({ amqpUrl, passwordFile: '/no/such/file' }).overview();

  await expect(unreadable).rejects.toThrow(/cannot read AMQP_PASSWORD_FILE \/no\/such\/file/);
});

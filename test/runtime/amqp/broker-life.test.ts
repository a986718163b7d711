/** What happens to connections when the broker itself stops, is blocked, or asks for certificates. */
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Delivery } from '../../../runtime/amqp/broker.ts';
import type { RabbitNode } from '../../../runtime/cli/local-broker/start-rabbitmq.ts';
import { type Certificates, makeCertificates } from '../../support/certificates.ts';
import { openTestBroker, rabbitVersions, startRabbit, testQueue, uniqueName } from '../../support/rabbit.ts';
import { runDarkroom } from '../../support/run-program.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';

/** Restarts of a node take seconds, many on a busy machine. */
const SLOW = { timeout: 180_000 };
const CLIENT = 'darkroom-client';
/**
 * RabbitMQ 3.10 and 4.3 write a new quorum queue's registration to disk a second or so after they have answered its
 * declaration. A kill -9 in between loses the queue's content, confirmed messages included, so let it pass.
 */
const QUEUE_SETTLED_MS = 3000;

/** One version a run: TEST_RABBITMQ chooses. */
const [version] = await rabbitVersions();

describe(`RabbitMQ ${version}`, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let certificates: Certificates;
  let node: RabbitNode;

  beforeAll(async () => {
    folder = await temporaryFolder();
    certificates = await makeCertificates(folder.path, CLIENT);
    const external =
      'auth_mechanisms.1 = PLAIN\nauth_mechanisms.2 = EXTERNAL\nssl_cert_login_from = common_name\n';
    node = await startRabbit({
      version,
      tlsFolder: certificates.serverFolder,
      plugins: ['rabbitmq_auth_mechanism_ssl'],
      config: external,
    });
    await node.ctl('add_user', CLIENT, 'never-used');
    await node.ctl('set_permissions', CLIENT, '.*', '.*', '.*');
  }, 180_000);

  afterAll(async () => {
    await node?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  test.each(['stop', 'kill'] as const)(
    'consumes again within 10 s of its return after %s',
    SLOW,
    async (how) => {
      await using opened = openTestBroker(node.amqpUrl);
      const { broker } = opened;
      await using queue = await testQueue(broker);
      const inHand: Delivery[] = [];
      const consumer = broker.consume(queue.name, (delivery) => inHand.push(delivery));
      await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('1') });
      const first = await until(() => inHand[0], 'the first delivery');

      await sleep(QUEUE_SETTLED_MS);
      await node[how]();
      await until(() => !consumer.consuming, 'the loss to be noticed');
      expect(first.ack()).toBe(false);
      await node.start();

      await until(() => consumer.consuming, 'consuming again', 10_000);
      const second = await until(() => inHand[1], 'the message, which survived');
      expect(second.body.toString()).toBe('1');
      expect(second.ack()).toBe(true);
      await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('2') });
      await until(() => inHand[2]?.ack(), 'a new message');
    },
  );

  test(
    'holds publishes back while the broker is blocked, however long, and sends them after',
    SLOW,
    async () => {
      await using opened = openTestBroker(node.amqpUrl, { confirmTimeoutMs: 1000 });
      const { broker, logged } = opened;
      await using queue = await testQueue(broker);
      await node.ctl('set_vm_memory_high_watermark', '0.0000001');
      // The alarm reaches a connection when it publishes.
      const first = broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('1') });
      await until(() => broker.state.blocked, 'the alarm');
      const second = broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('2') });
      broker.publishLater({ exchange: '', routingKey: queue.name, body: Buffer.from('dropped') });
      const early = await Promise.race([
        Promise.all([first, second]).catch((error: unknown) => error),
        new Promise((resolve) => setTimeout(resolve, 2500, 'still waiting')),
      ]);
      expect(early).toBe('still waiting');

      await node.ctl('set_vm_memory_high_watermark', '0.6');

      await Promise.all([first, second]);
      expect(broker.state.blocked).toBeUndefined();
      expect(logged.join('\n')).toMatch(/takes no messages for now: .*memory/);
      const { messageCount } = await broker.withChannel((channel) => channel.checkQueue(queue.name));
      expect(messageCount).toBe(2);
    },
  );

  test('takes a rotated password from its file when it connects again', SLOW, async () => {
    const user = uniqueName('user');
    await node.ctl('add_user', user, 'first');
    await node.ctl('set_permissions', user, '.*', '.*', '.*');
    const passwordFile = join(folder.path, user);
    await writeFile(passwordFile, 'first');
    const url = new URL(node.amqpUrl);
    url.username = user;
    await using opened = openTestBroker(url.href, { passwordFile });
    const { broker } = opened;
    await broker.ready(AbortSignal.timeout(5000));

    await node.ctl('change_password', user, 'second');
    await node.ctl('close_all_user_connections', user, 'rotation');
    await until(() => broker.state.lastError?.includes('refused the user name or password'), 'the refusal');
    await writeFile(passwordFile, 'second');

    await until(() => broker.state.publish === 'connected', 'the new password to be taken');
  });

  test('connects by TLS to a broker whose authority it is told, and to no other', SLOW, async () => {
    await using trusting = openTestBroker(String(node.amqpsUrl), { caFile: certificates.caFile });
    await using queue = await testQueue(trusting.broker);
    await trusting.broker.publish({
      exchange: '',
      routingKey: queue.name,
      body: Buffer.alloc(300_000),
      mandatory: true,
    });

    await using doubting = openTestBroker(String(node.amqpsUrl));
    const ready = doubting.broker.ready(AbortSignal.timeout(1500));

    await expect(ready).rejects.toThrow(/TLS certificate is not trusted .*AMQP_CA_FILE/);
  });

  test.each(['plain', 'encrypted'] as const)(
    'logs in by client certificate with a %s key',
    SLOW,
    async (kind) => {
      const keyPassphraseFile = join(folder.path, 'passphrase');
      await writeFile(keyPassphraseFile, certificates.passphrase);
      await using opened = openTestBroker(String(node.amqpsUrl).replace('guest:guest@', ''), {
        auth: 'external',
        caFile: certificates.caFile,
        certFile: certificates.certFile,
        ...(kind === 'plain'
          ? { keyFile: certificates.keyFile }
          : { keyFile: certificates.encryptedKeyFile, keyPassphraseFile }),
      });

      await opened.broker.ready(AbortSignal.timeout(10_000));

      expect(await node.ctl('-q', 'list_connections', 'user', 'auth_mechanism')).toMatch(
        `${CLIENT}\tEXTERNAL`,
      );
      await using queue = await testQueue(opened.broker);
      const received: Delivery[] = [];
      opened.broker.consume(queue.name, (delivery) => received.push(delivery));
      await opened.broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('1') });
      const delivery = await until(() => received[0], 'the delivery');
      expect([opened.broker.state.user, delivery.properties.userId]).toEqual([CLIENT, CLIENT]);
      delivery.ack();
    },
  );

  test('tells darkroom doctor which user it makes of a client certificate', SLOW, async () => {
    const { stdout } = await runDarkroom(['doctor', '--json'], {
      AMQP_URL: String(node.amqpsUrl).replace('guest:guest@', ''),
      AMQP_AUTH: 'external',
      AMQP_CA_FILE: certificates.caFile,
      AMQP_CERT_FILE: certificates.certFile,
      AMQP_KEY_FILE: certificates.keyFile,
      STORAGE_URL: folder.path,
    });

    const checks = JSON.parse(stdout) as { name: string; verdict: string; found: string }[];
    expect(checks.find(({ name }) => name === 'user')).toMatchObject({
      verdict: 'ok',
      found: expect.stringContaining(`"${CLIENT}" to the broker`),
    });
  });

  test('says that a client certificate is not accepted as a login', SLOW, async () => {
    const stranger = await temporaryFolder();
    await using _removed = stranger;
    await copyFile(certificates.caFile, join(stranger.path, 'ca.pem'));
    await using opened = openTestBroker(String(node.amqpsUrl), {
      auth: 'external',
      caFile: certificates.caFile,
    });

    await expect(opened.broker.ready(AbortSignal.timeout(1500))).rejects.toThrow(
      /refused the client certificate/,
    );
  });

  test('notices a broken TLS connection and consumes again', SLOW, async () => {
    await using opened = openTestBroker(String(node.amqpsUrl), { caFile: certificates.caFile });
    const { broker } = opened;
    await using queue = await testQueue(broker);
    const consumer = broker.consume(queue.name, (delivery) => delivery.ack());
    await until(() => consumer.consuming, 'consuming');
    let isLost = false;
    // By the time the command has ended, the consumer may be back.
    broker.onStateChange(() => {
      isLost ||= !consumer.consuming;
    });

    await node.ctl('close_all_connections', 'test');
    await until(() => isLost, 'the loss to be noticed');

    await until(() => consumer.consuming, 'consuming again');
    await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('x') });
  });
});

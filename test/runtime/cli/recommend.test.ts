import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { declareQuorum, openTestBroker, testBroker, uniqueName } from '../../support/rabbit.ts';
import { runDarkroom } from '../../support/run-program.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';

describe('darkroom recommend', () => {
  const recorded = { blur: [0, 30, 60].map((s) => ({ at: s * 1_000, ready: 60, unacked: 2, consumers: 2 })) };

  test('judges recorded metrics, the urgent first', async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, 'metrics.json');
    const idle = [{ at: '2026-01-01T00:00:00Z', ready: 0, unacked: 0, consumers: 0 }];
    await writeFile(file, JSON.stringify({ resize: idle, ...recorded }));
    const { code, stdout } = await runDarkroom(['recommend', '--from', file, '--json']);
    expect(code).toBe(0);
    expect(
      JSON.parse(stdout).map((entry: { function: string; action: string }) => [entry.function, entry.action]),
    ).toEqual([
      ['blur', 'scale-up'],
      ['resize', 'hold'],
    ]);
  });

  test('says what is wrong with a recording', async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, 'metrics.json');
    await writeFile(file, '{"blur":[{"at":0,"ready":-1,"unacked":0,"consumers":0}]}');
    const { code, stderr } = await runDarkroom(['recommend', '--from', file]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/blur\[0\]\.ready: expected at least 0, got -1/);
  });

  test('looks at a live broker: messages without a worker call for one', async () => {
    const { amqpUrl, managementUrl } = await testBroker();
    const prefix = uniqueName('recommend');
    await using opened = openTestBroker(amqpUrl);
    const queue = `${prefix}.blur`;
    await declareQuorum(opened.broker, queue);
    try {
      for (let n = 0; n < 12; n++) {
        await opened.broker.publish({ exchange: '', routingKey: queue, body: Buffer.from('{}') });
      }
      const env = {
        ...process.env,
        AMQP_URL: amqpUrl,
        AMQP_MANAGEMENT_URL: managementUrl,
        DARKROOM_PREFIX: prefix,
      };
      const look = async () => {
        const { stdout } = await runDarkroom(
          ['recommend', '--function', 'blur', '--for', '1s', '--json'],
          env,
        );
        const [entry] = JSON.parse(stdout);
        return entry?.facts?.ready === 12 ? entry : undefined;
      };
      const entry = await until(look, 'the management API to count 12 messages', 25_000);
      expect(entry).toMatchObject({
        action: 'scale-up',
        currentReplicas: 0,
        recommendedReplicas: 3,
        urgency: 'high',
      });
    } finally {
      await opened.broker.withChannel((channel) => channel.deleteQueue(queue));
    }
  });

  test('says where to set the address when nothing answers', async () => {
    const { code, stderr } = await runDarkroom([
      'recommend',
      '--management-url',
      'http://127.0.0.1:9',
      '--for',
      '1s',
    ]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/AMQP_MANAGEMENT_URL/);
  });
});

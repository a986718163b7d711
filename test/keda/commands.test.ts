import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { runDarkroom } from '../support/installation.ts';
import { declareQuorum, openTestBroker, testBroker, uniqueName } from '../support/rabbit.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';

describe('darkroom simulate', () => {
  test('prints a table, and the same one again', async () => {
    const call = ['simulate', '--function', 'blur', '--load', 'burst', '-n', '500', '--price', '0.04'];
    const [first, second] = await Promise.all([runDarkroom(call), runDarkroom(call)]);
    expect(first.code).toBe(0);
    expect(first.stdout).toMatch(/Wait p95 +\d/);
    expect(first.stdout).toMatch(/500 of 500/);
    expect(second.stdout).toBe(first.stdout);
  });

  test('prints JSON with series, changes and figures', async () => {
    const { stdout } = await runDarkroom([
      'simulate',
      '--load',
      'spike',
      '-n',
      '300',
      '--duration',
      '10m',
      '--json',
    ]);
    const { load, scenarios } = JSON.parse(stdout);
    expect(load).toMatchObject({ kind: 'spike', messages: 300, durationMs: 600_000 });
    expect(scenarios[0].summary).toMatchObject({ completed: 300, stranded: 0 });
    expect(scenarios[0].series.replicas.at(-1)).toBe(0);
    expect(scenarios[0].changes[0]).toMatchObject({ from: 0, to: 1 });
  });

  test('compares two values files and writes a page with both', async () => {
    await using folder = await temporaryFolder();
    const at = (name: string) => path.join(folder.path, name);
    await writeFile(at('values.yaml'), 'defaults: { scaling: { maxReplicas: 4 } }\nfunctions: { blur: {} }');
    await writeFile(at('more.yaml'), 'defaults: { scaling: { maxReplicas: 16 } }');
    const files = ['-f', at('values.yaml'), '--compare', at('more.yaml')];
    const { code, stdout } = await runDarkroom([
      'simulate',
      ...files,
      '-n',
      '800',
      '--html',
      at('page.html'),
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/With more\.yaml instead of values\.yaml, 95 % of messages begin within/);
    const page = await readFile(at('page.html'), 'utf8');
    expect(page).toContain('values.yaml against more.yaml');
  });

  test('takes counts a second from CSV and from JSON alike', async () => {
    await using folder = await temporaryFolder();
    const csv = path.join(folder.path, 'load.csv');
    const json = path.join(folder.path, 'load.json');
    await writeFile(csv, 'second,count\n0,5\n2,7\n');
    await writeFile(json, '[5, 0, 7]');
    const [fromCsv, fromJson] = await Promise.all(
      [csv, json].map(async (file) =>
        JSON.parse((await runDarkroom(['simulate', '--load', file, '--json'])).stdout),
      ),
    );
    expect(fromCsv.load).toMatchObject({ messages: 12, durationMs: 3_000 });
    expect(fromJson.scenarios).toEqual(fromCsv.scenarios);
  });

  test('suggests settings for a target wait', async () => {
    const { stdout } = await runDarkroom(['simulate', '-n', '400', '--target-wait-p95', '60s', '--json']);
    const { suggestion } = JSON.parse(stdout);
    expect(suggestion.targetMet).toBe(true);
    expect(suggestion.best.summary.waitMs.p95).toBeLessThan(60_000);
  });

  test.each([
    [['--function', 'blr'], /did you mean blur\?/],
    [['--load', 'brust'], /did you mean burst\?/],
    [['--service-time', 'fast'], /expected 800ms or 800ms,p95=2s/],
    [['--messages', '-5'], /whole number of 1 or more/],
    [['--outage', '5m'], /10m\+2m/],
    [['-f', '/nowhere/values.yaml'], /cannot read the values file/],
    [['--html', '/nowhere/page.html'], /cannot write \/nowhere\/page\.html/],
  ])('explains the mistake in %j', async (args, message) => {
    const { code, stderr } = await runDarkroom(['simulate', ...args]);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n +at /);
  });
});

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

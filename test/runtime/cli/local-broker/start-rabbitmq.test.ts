import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { rabbitVersions, startRabbit } from '../../../support/rabbit.ts';
import { until } from '../../../support/until.ts';

const versions = await rabbitVersions();
const SLOW = { timeout: 180_000 };

function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname, () => resolve(true));
    socket.once('connect', () => socket.destroy());
    socket.once('error', () => resolve(false));
  });
}

test.each(versions)('leaves no RabbitMQ %s behind when its parent is killed', SLOW, async (version) => {
  const program = `
    import { startRabbit } from './test/support/rabbit.ts';
    const node = await startRabbit({ version: '${version}' });
    console.log(node.amqpUrl);
    setInterval(() => {}, 60_000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [amqpUrl] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
  expect(await answers(amqpUrl)).toBe(true);

  parent.kill('SIGKILL');

  await until(async () => !(await answers(amqpUrl)), 'the node to end');
});

test.each(versions)('tells why RabbitMQ %s does not start', SLOW, async (version) => {
  const starting = startRabbit({ version, config: 'no.such.setting = 1\n' });

  await expect(starting).rejects.toThrow(/ended with .* while starting[\s\S]*no\.such\.setting/);
});

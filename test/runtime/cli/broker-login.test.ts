/** Commands whose login comes from files, as under the chart, or whose user has few rights. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { brokerUser } from '../../support/broker-user.ts';
import { type Installation, startInstallation } from '../../support/installation.ts';
import { runDarkroom } from '../../support/run-program.ts';

const LAUNCHER = fileURLToPath(new URL('../../../runtime/cli/darkroom.mjs', import.meta.url));
const NEEDS_API = 'needs AMQP_MANAGEMENT_URL beside AMQP_URL';

it.for([
  ['doctor', ['doctor']],
  ['recommend', ['recommend', '--function', 'flip', '--for', '1s']],
  ['up', ['up', '--function', 'flip']],
] as const)('%s logs in to the management API as the credential files say', async ([, args], context) => {
  await using user = await brokerUser({ configure: '.*', write: '.*', read: '.*' });
  if (user === undefined) return context.skip(NEEDS_API);
  await using at = await startInstallation();
  await using api = await managementApi();
  const login = await loginByFiles(at, user);
  const command = spawn(process.execPath, [LAUNCHER, ...args], {
    env: { ...at.env, ...login, AMQP_MANAGEMENT_URL: api.url },
    stdio: 'ignore',
  });
  const exited = once(command, 'exit');

  const authorization = await api.firstLogin;
  command.kill('SIGTERM');
  await exited;

  const [scheme, credentials = ''] = authorization.split(' ');
  expect(scheme).toBe('Basic');
  expect(Buffer.from(credentials, 'base64').toString()).toBe(`${user.name}:${user.password}`);
});

it('queues list says that the broker refuses, and not that the queues are missing', async (context) => {
  await using user = await brokerUser({});
  if (user === undefined) return context.skip(NEEDS_API);
  await using at = await startInstallation();

  const { code, stdout, stderr } = await runDarkroom(['queues', 'list'], {
    ...at.env,
    AMQP_URL: user.amqpUrl,
  });

  expect(stdout).not.toContain('not declared');
  // RabbitMQ 3.10 lets every user look.
  if (code !== 0) {
    expect(code).toBe(2);
    expect(stderr).toMatch(/The queues cannot be listed: .*403/);
  }
});

it('queues list tells a queue that is not declared', async () => {
  await using at = await startInstallation();
  await at.broker.withChannel((channel) => channel.deleteQueue(`${at.prefix}.flip`));

  const listed = await at.darkroom('queues', 'list', '--json');

  const flip = JSON.parse(listed.stdout).find(
    ({ queue }: { queue: string }) => queue === `${at.prefix}.flip`,
  );
  expect(flip).toEqual({ queue: `${at.prefix}.flip`, messages: null, consumers: null });
});

/** The broker's address without a login, and files that hold one. */
async function loginByFiles(at: Installation, user: { name: string; password: string }) {
  const [AMQP_USERNAME_FILE, AMQP_PASSWORD_FILE] = [join(at.folder, 'username'), join(at.folder, 'password')];
  await writeFile(AMQP_USERNAME_FILE, `${user.name}\n`);
  await writeFile(AMQP_PASSWORD_FILE, `${user.password}\n`);
  const url = new URL(at.env.AMQP_URL ?? '');
  [url.username, url.password] = ['', ''];
  return { AMQP_URL: url.href, AMQP_USERNAME_FILE, AMQP_PASSWORD_FILE };
}

/** A management API that knows nothing, and remembers who asked first. */
async function managementApi() {
  const login = Promise.withResolvers<string>();
  const server = createServer((request, response) => {
    login.resolve(request.headers.authorization ?? '');
    response.writeHead(404).end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    firstLogin: login.promise,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

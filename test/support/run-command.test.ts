/** The commands for tests that are not part of `npm test`: what they say where they cannot run. */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { type ProgramResult, runProgram } from './run-program.ts';

const NOWHERE = { DOCKER_HOST: 'unix:///no-such.sock', AMQP_URL: 'amqp://127.0.0.1:1' };

it.each([
  ['chaos', ['--rabbitmq', '4'], /RabbitMQ 4 cannot be started here: it needs a Docker engine/],
  ['chaos', ['--only', 'nonsense'], /there is no scenario "nonsense"/],
  ['load', ['--nonsense'], /unknown option '--nonsense'/],
  ['load', ['--speed', '2'], /the target is broker/],
  ['bench', ['--nonsense'], /Unknown option '--nonsense'/],
  ['bench', ['--only', 'startup'], /no broker answers there/],
])('npm run %s -- %j answers in one line', async (command, args, words) => {
  const { code, stderr } = await run(command, args);

  expect(stderr).toMatch(words);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(code).toBe(2);
});

it('npm run e2e says what it needs, and that nothing was tested', async () => {
  const { code, stdout } = await run('e2e', [], { KUBECONFIG: '/no/such/config' });

  expect(stdout).toMatch(/SKIPPED: nothing was tested on a cluster, because/);
  expect(stdout).not.toMatch(/\n\s+at /);
  expect(code).toBe(0);
});

function run(command: string, args: string[], env = {}): Promise<ProgramResult> {
  const script = fileURLToPath(new URL(`../${command}/run.ts`, import.meta.url));
  return runProgram(script, args, { ...process.env, ...NOWHERE, ...env });
}

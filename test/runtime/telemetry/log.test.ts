/** No line of the log holds a secret, whichever way it came there. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runProgram } from '../../support/run-program.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const LOG = new URL('../../../runtime/telemetry/log.ts', import.meta.url).href;
const CANARY = 'cAnArY7Zq';
const URL_WITH_SECRETS = `amqp://worker:${CANARY}@broker/x?token=${CANARY}`;

async function logged(code: string): Promise<string[]> {
  await using folder = await temporaryFolder();
  const script = join(folder.path, 'log.mjs');
  await writeFile(
    script,
    `import { createLog } from '${LOG}';
    const url = '${URL_WITH_SECRETS}';
    const log = createLog('info', { worker: 'w', base: url });
    ${code}`,
  );
  const { stdout, stderr } = await runProgram(script, []);
  expect(stderr).toBe('');
  return stdout.trim().split('\n');
}

describe('the log', () => {
  it.each([
    ['the message', 'log.info(url);'],
    ['what is put into the message', "log.info('%s, %j', url, { url });"],
    ['a field', 'log.info({ url }, "x");'],
    ['a field of a field', 'log.info({ a: { b: [{ url }] } }, "x");'],
    ['a name of a field’s value in lines', 'log.info({ text: `one\\ntoken=${url}\\nthree` }, "x");'],
    ['its loggers', 'log.child({ task: url }).info("x");'],
    ['an error', 'log.error({ err: new Error(url, { cause: new Error(url) }) }, "x");'],
    ['an error alone', 'log.error(new TypeError(url));'],
    ['a message among the fields', 'log.info({ msg: url });'],
  ])('shows no secret of %s', async (_, code) => {
    const [line = ''] = await logged(code);

    expect(line).not.toContain(CANARY.slice(0, 8));
    expect(JSON.parse(line)).toMatchObject({ worker: 'w', base: 'amqp://REDACTED@broker/x?REDACTED' });
  });

  it('says all else as it is given', async () => {
    const [line = ''] = await logged(
      'log.warn({ n: 1.5, no: null, yes: true, list: [1, "two"] }, "é \\u001b");',
    );

    expect(JSON.parse(line)).toMatchObject({
      level: 'warn',
      n: 1.5,
      no: null,
      yes: true,
      list: [1, 'two'],
      msg: 'é \u001b',
      time: expect.stringMatching(/^\d{4}-.*Z$/),
    });
  });
});

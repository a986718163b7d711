/** Secrets that Darkroom is given or sent: none shows in logs, events, dead letters, or where a filter could read it. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { commandLineOf, environmentOf } from '../../support/process-facts.ts';
import { until } from '../../support/until.ts';
import { type AuditedInstallation, openAuditedInstallation } from '../support/audited-installation.ts';
import type { Scenario, ScenarioOutcome, Stage } from '../support/scenario.ts';
import { BAD_FUNCTIONS, prepareSleepers } from '../support/sleepers.ts';

const PASSWORD = 'cAnArY-broker-9f3';
const WRONG_PASSWORD = 'cAnArY-wrong-77a';
const AWS_SECRET = 'cAnArY-aws-4be';
const OTHER_SECRET = 'cAnArY-database-d01';
const SIGNATURE = 'cAnArY0signature0c52';
const URL_PASSWORD = 'cAnArY0url0e18';
/** What the filter `throw` of the fixtures says. */
const THROWN = 'hunter2';
const ALL = [PASSWORD, WRONG_PASSWORD, AWS_SECRET, OTHER_SECRET, SIGNATURE, URL_PASSWORD, THROWN];
const USER = 'canary';

export const secrets: Scenario = {
  name: 'secrets',
  shows: 'no secret in logs, events, dead letters or the child’s environment',
  run,
};

async function run({ node, random, say }: Stage): Promise<ScenarioOutcome> {
  await node.ctl('add_user', USER, PASSWORD);
  await node.ctl('set_permissions', USER, '.*', '.*', '.*');
  const env = {
    AMQP_URL: withUser(node.amqpUrl, PASSWORD),
    FUNCTIONS_DIR: BAD_FUNCTIONS,
    RETRY_DELAYS: '50ms',
    INPUT_HTTPS: 'true',
    INPUT_HTTPS_HOSTS: '*',
    LOG_LEVEL: 'trace',
    AWS_ACCESS_KEY_ID: 'cAnArY-id',
    AWS_SECRET_ACCESS_KEY: AWS_SECRET,
    DATABASE_URL: `postgres://me:${OTHER_SECRET}@db/x`,
    API_TOKEN: OTHER_SECRET,
  };
  await using installation = await openAuditedInstallation({ amqpUrl: node.amqpUrl, env });
  const sleeper = await prepareSleepers(installation);
  const workers = installation.supervise([{ filters: ['sleep', 'throw'] }]);
  const refused = installation.supervise([
    { filters: ['negate'], env: { AMQP_URL: withUser(node.amqpUrl, WRONG_PASSWORD) } },
  ]);
  await workers.ready();
  const events = await installation.follow('#');
  const letters = await copyLetters(installation);
  await installation.submit([sleeper('well', 10), ...revealing(random.shuffle(REVEALING))]);
  const childTexts = await textsOfChildren(workers.current[0]!.pid, await workers.current[0]!.childPids());
  await installation.settled();
  const { body: metrics } = await workers.current[0]!.get('/metrics');
  await until(
    async () => (await logsOf(installation)).includes('not connected'),
    'the refused worker’s complaint',
  );
  await refused.kill();
  const outcome = await installation.finish(workers);
  const places: Record<string, string> = {
    logs: await logsOf(installation),
    events: JSON.stringify(events),
    'dead letters’ headers': JSON.stringify(letters),
    metrics,
    ...childTexts,
  };
  for (const [place, text] of Object.entries(places))
    for (const secret of ALL)
      if (text.includes(secret) && !(place === 'child environment' && secret === AWS_SECRET))
        outcome.faults.push(`${place}: ${secret} shows, in …${around(text, secret)}…`);
  outcome.notes.push(
    `${ALL.length} secrets looked for in ${Object.keys(places).join(', ')}: ${Object.values(places).reduce((sum, text) => sum + text.length, 0)} characters`,
  );
  outcome.notes.push(
    'the child’s environment holds the storage’s own AWS secret, which it needs; a dead letter’s body stays as it was sent, so that it can be replayed',
  );
  say(outcome.notes[0]!);
  await node.ctl('delete_user', USER);
  return outcome;
}

const REVEALING = [
  `https://127.0.0.1/x.png?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${SIGNATURE}&X-Amz-Signature=${SIGNATURE}`,
  `https://bucket.invalid/x.png?X-Amz-Signature=${SIGNATURE}&X-Amz-Security-Token=${SIGNATURE}`,
  `https://user:${URL_PASSWORD}@127.0.0.1/x.png`,
  `https://user:${URL_PASSWORD}@bucket.invalid/x.png`,
  `http://user:${URL_PASSWORD}@127.0.0.1/x.png`,
  `s3://user:${URL_PASSWORD}@bucket/x.png`,
  `ftp://user:${URL_PASSWORD}@host/x.png?sig=${SIGNATURE}`,
  `nowhere/${'x'.repeat(300)}?token=${SIGNATURE}`,
  `https://storage.invalid/x?sv=2024&sig=${SIGNATURE}`,
];

/** Tasks that fail with a message that would like to quote what it was given. */
function revealing(inputs: string[]) {
  const steps = [{ filter: 'sleep', params: { ms: 0 } }];
  const failing = inputs.map((input, n) => ({
    id: `revealing-${n}`,
    task: { id: `revealing-${n}`, input, steps },
  }));
  const keys = inputs.map((key, n) => ({
    id: `revealing-key-${n}`,
    task: { id: `revealing-key-${n}`, input: 'photo.png', steps, output: { key: `../${key}` } },
  }));
  const thrown = { id: 'thrown', task: { id: 'thrown', input: 'photo.png', steps: [{ filter: 'throw' }] } };
  return [...failing, ...keys, thrown].map((one) => ({ ...one, expect: 'dead letter' as const }));
}

function withUser(url: string, password: string): string {
  const changed = new URL(url);
  changed.username = USER;
  changed.password = password;
  return changed.href;
}

/** The headers of every dead letter, from a second queue. */
async function copyLetters(installation: AuditedInstallation): Promise<unknown[]> {
  return await installation.collect(installation.names.dead, '', ({ headers }) => headers);
}

async function textsOfChildren(parent: number, children: number[]): Promise<Record<string, string>> {
  const environments = await Promise.all(children.map(environmentOf));
  const commandLines = await Promise.all([parent, ...children].map(commandLineOf));
  if (environments.length === 0 || environments.some((text) => text === ''))
    throw new Error('a child has no environment to read');
  return {
    'child environment': environments.join('\n'),
    'worker environment': await environmentOf(parent),
    'command lines': commandLines.join('\n'),
  };
}

async function logsOf({ logs }: AuditedInstallation): Promise<string> {
  const texts = await Promise.all((await readdir(logs)).map((file) => readFile(join(logs, file), 'utf8')));
  return texts.join('\n');
}

function around(text: string, secret: string): string {
  const at = text.indexOf(secret);
  return text.slice(Math.max(0, at - 60), at + secret.length + 10).replaceAll(/\s+/g, ' ');
}

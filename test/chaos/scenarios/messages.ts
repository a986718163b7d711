/** Generated messages, from valid to garbage: each ends in a result or a dead letter, and none ends a worker. */

import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { flatPng } from '../../support/pictures.ts';
import { letterTypes } from '../support/audit.ts';
import { openAuditedInstallation } from '../support/audited-installation.ts';
import { wildMessage } from '../support/messages.ts';
import type { Scenario, ScenarioOutcome, Stage } from '../support/scenario.ts';
import { oneFilterEach } from '../support/scenario-setup.ts';
import { FILTERS } from '../support/tasks.ts';

const BATCH = 500;
const OPEN_MAX = 3_000;

export const messages: Scenario = {
  name: 'messages',
  shows: 'generated messages: valid, nearly valid, garbage, headers of every type',
  run,
};

async function run({ choose, node, seed, say }: Stage): Promise<ScenarioOutcome> {
  const count = choose(2_000, 100_000);
  const env = { RETRY_DELAYS: '50ms,100ms', INPUT_GRACE: '10ms', REPLY_QUEUES: '*-seen-*' };
  await using installation = await openAuditedInstallation({ amqpUrl: node.amqpUrl, env, byReply: true });
  const photo = await flatPng(9, 7, '#306090');
  await installation.put('photo.png', photo);
  await installation.put('words.txt', Buffer.from('no image at all'));
  const workers = installation.supervise(oneFilterEach(2));
  await workers.ready();
  const wild = wildMessage({ photo, filters: FILTERS });
  for (let sent = 0; sent < count; sent += BATCH) {
    const makers = fc.sample(wild, { seed: seed + sent, numRuns: Math.min(BATCH, count - sent) });
    await installation.submit(
      makers.map((make, index) => {
        const id = `m${sent + index}`;
        const { body, filter, properties } = make(`-${id}`);
        return { id, expect: 'either' as const, task: body, filter, properties };
      }),
    );
    while (installation.ledger.open > OPEN_MAX) await sleep(50);
    if (sent % (10 * BATCH) === 0)
      say(`${sent}/${count} messages sent, ${installation.ledger.open} without an outcome yet`);
  }
  const outcome = await installation.finish(workers);
  outcome.notes.push(
    `${outcome.results} results and ${outcome.deadLetters} dead letters, by ${workers.current.length} workers of which none ended`,
  );
  outcome.notes.push(letterTypes(installation.ledger));
  return outcome;
}

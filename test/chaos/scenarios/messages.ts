/** Generated messages, from valid to garbage: each ends in a result or a dead letter, and none ends a worker. */

import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import sharp from 'sharp';
import { openPlant } from '../support/installation.ts';
import { wildMessage } from '../support/messages.ts';
import type { Outcome, Scenario, Stage } from '../support/scenario.ts';
import { oneFilterEach } from '../support/scenario-setup.ts';
import { FILTERS } from '../support/tasks.ts';

const BATCH = 500;
const OPEN_MAX = 3_000;

export const messages: Scenario = {
  name: 'messages',
  shows: 'generated messages: valid, nearly valid, garbage, headers of every type',
  run,
};

async function run({ choose, node, seed, say }: Stage): Promise<Outcome> {
  const count = choose(2_000, 100_000);
  const env = { RETRY_DELAYS: '50ms,100ms', INPUT_GRACE: '10ms' };
  await using plant = await openPlant({ amqpUrl: node.amqpUrl, env, byReply: true });
  const photo = await sharp({ create: { width: 9, height: 7, channels: 3, background: '#306090' } })
    .png()
    .toBuffer();
  await plant.put('photo.png', photo);
  await plant.put('words.txt', Buffer.from('no image at all'));
  const crew = plant.crew(oneFilterEach(2));
  await crew.ready();
  const wild = wildMessage({ photo, filters: FILTERS });
  for (let sent = 0; sent < count; sent += BATCH) {
    const makers = fc.sample(wild, { seed: seed + sent, numRuns: Math.min(BATCH, count - sent) });
    await plant.submit(
      makers.map((make, index) => {
        const id = `m${sent + index}`;
        const { body, filter, properties } = make(`-${id}`);
        return { id, expect: 'either' as const, task: body, filter, properties };
      }),
    );
    while (plant.ledger.open > OPEN_MAX) await sleep(50);
    if (sent % (10 * BATCH) === 0)
      say(`${sent}/${count} messages sent, ${plant.ledger.open} without an outcome yet`);
  }
  const outcome = await plant.finish(crew);
  outcome.notes.push(
    `${outcome.results} results and ${outcome.deadLetters} dead letters, by ${crew.members.length} workers of which none ended`,
  );
  outcome.notes.push(
    plant.ledger
      .reasons()
      .map(([type, times]) => `${times} ${type}`)
      .join(', '),
  );
  return outcome;
}

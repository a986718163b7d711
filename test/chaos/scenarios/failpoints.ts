/** Workers die at each point between taking a message and acknowledging it: every row of the crash table. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Failpoint } from '../../../runtime/worker/failpoint.ts';
import { words } from '../../support/words.ts';
import { openAuditedInstallation } from '../support/audited-installation.ts';
import { startPump } from '../support/pump.ts';
import type { Scenario, ScenarioOutcome, Stage } from '../support/scenario.ts';
import { FILTERS, prepareTaskKinds } from '../support/tasks.ts';

const POINTS = words(
  'received fetched storing staged marked stored publishing sent confirmed acked',
) as Failpoint[];
const TIME_LIMIT_MS = 900_000;
const OPEN_TASKS = 40;
const PROGRESS_MS = 3_000;

export const failpoints: Scenario = {
  name: 'failpoints',
  shows: 'a death at every point between message and acknowledgement',
  run,
};

async function run({ choose, node, random, say }: Stage): Promise<ScenarioOutcome> {
  const deaths = choose(5, 50);
  // The same message may meet death after death: here that is the test and not its fault.
  const env = { CRASH_LIMIT: '100000', DELIVERY_LIMIT: '100000' };
  await using installation = await openAuditedInstallation({ amqpUrl: node.amqpUrl, env });
  const folders = await Promise.all(POINTS.map((point) => buyDeaths(installation.home, point, deaths)));
  const kinds = await prepareTaskKinds(installation, random);
  // One worker per point, and for each filter one that lives.
  const doomed = POINTS.map((point, index) => ({
    filters: [FILTERS[index % FILTERS.length]!],
    env: { DARKROOM_FAILPOINT: `${point}@${folders[index]}` },
  }));
  const workers = installation.supervise([...doomed, ...FILTERS.map((filter) => ({ filters: [filter] }))], {
    mayDie: true,
  });

  const pump = startPump(installation, kinds, random, OPEN_TASKS);
  const deadline = performance.now() + TIME_LIMIT_MS;
  let left = await leftIn(folders);
  while (left.some((count) => count > 0) && performance.now() < deadline) {
    await sleep(PROGRESS_MS);
    left = await leftIn(folders);
    say(`deaths still to come: ${POINTS.map((point, index) => `${point} ${left[index]}`).join(', ')}`);
  }
  await pump.stop();
  const outcome = await installation.finish(workers);
  outcome.notes.push(`${await installation.leftovers()} images between steps left to the sweep`);
  const died = left.map((count) => deaths - count);
  outcome.kills = died.reduce((sum, count) => sum + count, 0);
  outcome.notes.push(`deaths: ${POINTS.map((point, index) => `${point} ${died[index]}`).join(', ')}`);
  for (const [index, point] of POINTS.entries())
    if (left[index]! > 0) outcome.faults.push(`only ${died[index]} of ${deaths} deaths at "${point}"`);
  return outcome;
}

async function buyDeaths(folder: string, point: Failpoint, deaths: number): Promise<string> {
  const tokens = join(folder, 'failpoints', point);
  await mkdir(tokens, { recursive: true });
  await Promise.all(Array.from({ length: deaths }, (_, n) => writeFile(join(tokens, String(n)), '')));
  return tokens;
}

async function leftIn(folders: string[]): Promise<number[]> {
  return await Promise.all(folders.map(async (folder) => (await readdir(folder)).length));
}

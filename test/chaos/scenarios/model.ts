/** Random schedules of crash, redelivery, lost connections and failing storage against the worker's own code. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { ScheduleResult } from '../model/run-schedule.ts';
import { noFigures, type Scenario, type ScenarioOutcome, type Stage } from '../support/scenario.ts';

const RUN = fileURLToPath(new URL('../model/run.ts', import.meta.url));

export const model: Scenario = {
  name: 'model',
  shows: 'the acknowledgement’s state machine over random schedules, in virtual time',
  needsBroker: false,
  run,
};

async function run({ choose, seed, say }: Stage): Promise<ScenarioOutcome> {
  const count = choose(3_000, 100_000);
  const child = spawn(process.execPath, [RUN, String(seed), String(count)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const errors: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (/^\d+$/.test(line)) say(`${line}/${count} schedules`);
    else errors.push(line);
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const json = await text(child.stdout);
  if ((await exited) !== 0) throw new Error(`the model ended early: ${errors.join('\n')}`);
  const result = JSON.parse(json) as ScheduleResult & { schedules: number };
  const { schedules, turns, crashes, connectionsLost, childrenLost, stopped, completed, failed, unmarked } =
    result;
  const { cancelled, damaged } = result;
  return {
    ...noFigures(),
    submitted: completed + failed,
    results: completed,
    deadLetters: failed,
    kills: crashes + connectionsLost + childrenLost + stopped,
    unexplained: result.faults.length,
    notes: [
      `${schedules} schedules, ${turns} turns: ${crashes} crashes, ${connectionsLost} connections and ${childrenLost} children lost, ${stopped} workers stopped, ${cancelled} tasks cancelled, ${damaged} objects damaged; ${unmarked} tasks were given up while the storage took no marker`,
    ],
    faults: result.faults,
  };
}

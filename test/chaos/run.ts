/**
 * `npm run chaos`: breaks Darkroom in every way that one machine allows, and counts what was lost.
 *
 * Each scenario keeps a ledger of what it submitted outside the system under test; the exit code is 1 when any task
 * is lost, has an outcome that nothing explains, or gave wrong bytes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { EXIT } from '../../runtime/cli/exit-codes.ts';
import { RABBITMQ_IMAGE } from '../../runtime/cli/local-broker/start-rabbitmq.ts';
import { printJson } from '../../runtime/cli/terminal.ts';
import { asError, UserError } from '../../runtime/errors.ts';
import { machineText } from '../support/machine.ts';
import { presentVersions, type RabbitVersion, startRabbit } from '../support/rabbit.ts';
import { runScript } from '../support/run-command.ts';
import { SCENARIOS } from './scenarios/index.ts';
import { createRandom } from './support/random.ts';
import { passed, printReport, progressLine, type Row } from './support/report.ts';
import { type ChaosProfile, noFigures, type Scenario, type Stage } from './support/scenario.ts';

interface Options {
  profile: ChaosProfile;
  times: number;
  seed: number;
  slots: number;
  carry: 'none' | 'light' | 'all';
  only?: string[];
  rabbitmq?: 'both' | RabbitVersion;
  json?: boolean;
}

const DEFAULT_SEED = 20_260_801;
/** For one scenario. */
const TIME_LIMIT_MS: Record<ChaosProfile, number> = { short: 180_000, full: 1_800_000 };
const NEEDS: Record<RabbitVersion, string> = {
  '3.10': 'rabbitmq-server on the PATH (Debian 12: apt-get install rabbitmq-server)',
  '4': `a Docker engine that has the image ${RABBITMQ_IMAGE} (docker pull ${RABBITMQ_IMAGE})`,
};
const startMs = performance.now();

process.exit(await runScript(() => main(commandLine())));

function commandLine(): Options {
  const listed = SCENARIOS.map(({ name, shows }) => `  ${name.padEnd(18)} ${shows}`).join('\n');
  const command = new Command('npm run chaos --')
    .description('Breaks Darkroom in every way that one machine allows, and counts what was lost.')
    .addOption(
      new Option('--profile <size>', 'how much of everything').choices(['short', 'full']).default('short'),
    )
    .option('--times <n>', 'so many times what the short profile does, at most the full one', wholeNumber, 1)
    .option('--seed <n>', 'repeats the same choices', wholeNumber, DEFAULT_SEED)
    .option('--slots <n>', 'tasks that each worker has in hand at once', wholeNumber, 1)
    .addOption(
      new Option('--carry <mode>', 'how far workers go on with a task’s next steps')
        .choices(['none', 'light', 'all'])
        .default('none'),
    )
    .option('--only <scenario,…>', 'only these scenarios', scenarioNames)
    .addOption(
      new Option(
        '--rabbitmq <version>',
        '3.10 (the machine’s package), 4 (a container) or both; default: the first at hand',
      ).choices(['3.10', '4', 'both']),
    )
    .option('--json', 'print the figures as JSON')
    .addHelpText(
      'after',
      `\nScenarios:\n${listed}\n\nExample:\n  $ npm run chaos -- --only kills,failpoints --rabbitmq both\n  $ npm run chaos -- --only messages --times 10`,
    );
  return command.exitOverride().parse().opts<Options>();
}

async function main(options: Options): Promise<number> {
  // Every worker gets its environment from this one.
  process.env.SLOTS = String(options.slots);
  process.env.CARRY = options.carry;
  const scenarios = SCENARIOS.filter(({ name }) => options.only?.includes(name) ?? true);
  const rows: Row[] = [];
  for (const version of await versionsOf(options)) {
    progressLine(startMs, `starting RabbitMQ ${version}`);
    await using node = await startRabbit({ version });
    for (const scenario of scenarios) {
      const isDone = scenario.needsBroker === false && rows.some((row) => row.scenario === scenario.name);
      if (!isDone) rows.push(await runScenario(scenario, node, version, options));
    }
  }
  if (options.json === true)
    printJson({
      seed: options.seed,
      profile: options.profile,
      slots: options.slots,
      carry: options.carry,
      machine: machineText(),
      rows,
    });
  else printReport(rows, options);
  return rows.every(passed) ? EXIT.ok : EXIT.failed;
}

async function versionsOf({ rabbitmq }: Options): Promise<RabbitVersion[]> {
  const present = await presentVersions();
  const asked: RabbitVersion[] =
    rabbitmq === 'both' ? ['3.10', '4'] : rabbitmq === undefined ? [] : [rabbitmq];
  const missing = asked.find((version) => !present.includes(version));
  if (missing !== undefined)
    throw new UserError(`RabbitMQ ${missing} cannot be started here: it needs ${NEEDS[missing]}.`);
  if (present.length === 0)
    throw new UserError(`No RabbitMQ can be started here: it needs ${NEEDS['3.10']}, or ${NEEDS['4']}.`);
  return asked.length > 0 ? asked : present.slice(0, 1);
}

/** One scenario, whatever happens in it. */
async function runScenario(
  scenario: Scenario,
  node: Stage['node'],
  version: RabbitVersion,
  { profile, times, seed, slots }: Options,
): Promise<Row> {
  const { name, shows } = scenario;
  const say = (text: string) => progressLine(startMs, `${name}: ${text}`);
  const beganMs = performance.now();
  say(shows);
  const stage: Stage = {
    profile,
    seed,
    slots,
    version,
    node,
    say,
    random: createRandom(`${seed} ${name}`),
    choose: (short, full) => (profile === 'full' ? full : timesOf(short, times, full)),
  };
  const failed = (error: unknown) => ({
    ...noFigures(),
    notes: [],
    faults: [asError(error).stack ?? asError(error).message],
  });
  const outcome = await Promise.race([
    scenario.run(stage),
    timeUp(TIME_LIMIT_MS[times > 1 ? 'full' : profile]),
  ]).catch(failed);
  const row = {
    scenario: name,
    rabbitmq: scenario.needsBroker === false ? '–' : node.version,
    seconds: (performance.now() - beganMs) / 1_000,
    ...outcome,
  };
  say(passed(row) ? `ok after ${row.seconds.toFixed(1)} s` : `FAILED: ${row.faults.join('; ')}`);
  return row;
}

function timesOf<T>(short: T, times: number, full: T): T {
  if (typeof short !== 'number' || typeof full !== 'number') return short;
  return Math.min(short * times, full) as T;
}

/** What hangs must not hang the run; the processes it leaves end with this one. */
async function timeUp(ms: number): Promise<never> {
  await sleep(ms, undefined, { ref: false });
  throw new Error(`not done within ${ms / 1_000} s`);
}

function wholeNumber(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number');
}

function scenarioNames(text: string): string[] {
  const named = text.split(',').map((name) => name.trim());
  const known = SCENARIOS.map(({ name }) => name);
  const unknown = named.find((name) => !known.includes(name));
  if (unknown === undefined) return named;
  throw new InvalidArgumentError(`there is no scenario "${unknown}"; expected some of ${known.join(', ')}`);
}

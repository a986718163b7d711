/** What `npm test` runs: finds a broker, runs vitest on it, and ends with one line that counts. */
import { type BrokerWay, findBroker } from '../../runtime/cli/broker.ts';
import { aptInstall, canAptInstall } from '../../runtime/cli/local-broker/apt.ts';
import { asError, UserError } from '../../runtime/errors.ts';
import { pikaPython } from './pika.ts';
import { runCounted } from './run-vitest.ts';
import { formatCounts } from './test-counts.ts';

const WAY_TO_VERSION: Record<string, BrokerWay> = { '3.10': 'debian', '4': 'docker' };

const HELP = `npm test [-- WHAT…]

Runs the tests on a RabbitMQ that it finds or starts, and ends with "N passed, N failed". Arguments go to vitest.
TEST_RABBITMQ=3.10 or 4 asks for that version: Debian 12's package, or a container.

Examples:
  $ npm test -- test/runtime/storage -t atomically
  $ TEST_RABBITMQ=4 npm test`;

try {
  const given = process.argv.slice(2);
  if (given.includes('--help') || given.includes('-h')) console.log(HELP);
  else process.exitCode = await main(given);
} catch (error) {
  console.error(error instanceof UserError ? error.message : error);
  console.log(formatCounts({ passed: 0, failed: 1, skipped: 0 }));
  process.exitCode = 1;
}

async function main(vitestArguments: string[]): Promise<number> {
  await using broker = await brokerOf(process.env.TEST_RABBITMQ);
  await offerPika();
  const env = { ...process.env, ...broker.env };
  const { exitCode, ...counts } = await runCounted(['--reporter=default', ...vitestArguments], { env });
  console.log(formatCounts(counts));
  return counts.failed > 0 ? exitCode || 1 : exitCode;
}

async function brokerOf(wanted: string | undefined) {
  const prefer = wanted === undefined ? undefined : WAY_TO_VERSION[wanted];
  if (wanted !== undefined && prefer === undefined) {
    throw new UserError(
      `TEST_RABBITMQ is ${wanted}; expected one of ${Object.keys(WAY_TO_VERSION).join(', ')}`,
    );
  }
  const broker = await findBroker({ prefer, allowInstall: true, onProgress: say });
  if (wanted === undefined || broker.version?.startsWith(`${wanted}.`)) return broker;
  await broker.stop();
  throw new UserError(
    `TEST_RABBITMQ asks for RabbitMQ ${wanted}, but what was found is ${broker.version ?? 'AMQP_URL'}`,
  );
}

/** The test that publishes from Python needs pika; it is fetched where that needs no asking. */
async function offerPika(): Promise<void> {
  if ((await pikaPython()) !== undefined || !canAptInstall()) return;
  say('installing the package python3-pika with apt-get, for the test that publishes from Python');
  await aptInstall('python3-pika').catch((error) => say(asError(error).message));
}

function say(text: string): void {
  console.log(`test: ${text}`);
}

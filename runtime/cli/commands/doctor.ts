/** `darkroom doctor`: what is wrong, and how to mend it. */
import { Command } from 'commander';
import { type Broker, openBroker } from '../../amqp/broker.ts';
import { inspectQueue, names } from '../../amqp/topology.ts';
import { type Config, readConfig } from '../../config.ts';
import { asError } from '../../errors.ts';
import { listFunctions, loadFunction } from '../../functions.ts';
import { redactUrl } from '../../redact.ts';
import { openStorage } from '../../storage/open.ts';
import { humanSize } from '../../units.ts';
import { cpuLimit, memoryLimit } from '../../worker/cgroup.ts';
import { management } from '../session.ts';
import { conventional, green, print, printJson, red, yellow } from '../terminal.ts';

type Verdict = 'ok' | 'warning' | 'failed';

interface Check {
  name: string;
  verdict: Verdict;
  found: string;
  mend?: string;
}

const CONNECT_TIMEOUT_MS = 5_000;
const OLDEST_NODE = 24;

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description(
      'Checks Node, configuration, filters, storage, broker, rights and queues. Exit code 1 when something is wrong.',
    )
    .action(async (options: { json?: boolean }) => {
      const checks = await examine();
      if (checks.some(({ verdict }) => verdict === 'failed')) process.exitCode = 1;
      if (options.json === true) return printJson(checks);
      const marks = { ok: green('✓'), warning: yellow('!'), failed: red('✗') };
      for (const { name, verdict, found, mend } of checks) {
        print(`${marks[verdict]} ${name.padEnd(14)} ${found}`);
        if (mend !== undefined) print(`  ${' '.repeat(14)} → ${mend}`);
      }
    });
  return conventional(command, 'darkroom doctor');
}

async function examine(): Promise<Check[]> {
  const checks = [nodeVersion(), machine()];
  let config: Config;
  try {
    config = readConfig();
  } catch (error) {
    return [
      ...checks,
      {
        name: 'configuration',
        verdict: 'failed',
        found: asError(error).message,
        mend: 'set the variables right; the README lists them all',
      },
    ];
  }
  checks.push({
    name: 'configuration',
    verdict: 'ok',
    found: 'every variable is valid, and the chain of times holds',
  });
  checks.push(...(await Promise.all([imageLibrary(), filters(config), storage(config)])));
  return [...checks, ...(await brokerChecks(config))];
}

function nodeVersion(): Check {
  const version = process.versions.node;
  const good = Number.parseInt(version, 10) >= OLDEST_NODE;
  return {
    name: 'Node',
    verdict: good ? 'ok' : 'failed',
    found: version,
    ...(!good && {
      mend: `Node ${OLDEST_NODE} or newer is needed; npm ci brings one, so start darkroom by npx`,
    }),
  };
}

function machine(): Check {
  return {
    name: 'machine',
    verdict: 'ok',
    found: `${cpuLimit()} processors and ${humanSize(memoryLimit())} for this process`,
  };
}

async function imageLibrary(): Promise<Check> {
  try {
    const { default: sharp } = await import('sharp');
    return {
      name: 'image library',
      verdict: 'ok',
      found: `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}`,
    };
  } catch (error) {
    return {
      name: 'image library',
      verdict: 'failed',
      found: asError(error).message.split('\n')[0] ?? '',
      mend: 'run npm ci on this platform: sharp ships one binary per system',
    };
  }
}

async function filters(config: Config): Promise<Check> {
  const names = listFunctions(config.functionsDir);
  const broken = await Promise.all(
    names.map((name) => loadFunction(name, config.functionsDir).then(() => undefined, asError)),
  );
  const [first] = broken.filter((error) => error !== undefined);
  if (first !== undefined)
    return {
      name: 'filters',
      verdict: 'failed',
      found: first.message,
      mend: `mend the file in ${config.functionsDir}`,
    };
  return { name: 'filters', verdict: 'ok', found: `${names.length}: ${names.join(', ')}` };
}

async function storage(config: Config): Promise<Check> {
  try {
    const opened = await openStorage(config.storage.url);
    await opened.check();
    return { name: 'storage', verdict: 'ok', found: `${opened.url}: writes, reads and removes` };
  } catch (error) {
    return {
      name: 'storage',
      verdict: 'failed',
      found: asError(error).message,
      mend: 'STORAGE_URL says where; the worker needs to write, read and remove there',
    };
  }
}

async function brokerChecks(config: Config): Promise<Check[]> {
  const broker = openBroker({
    ...config.amqp,
    name: 'darkroom doctor',
    log: { debug() {}, info() {}, warn() {}, error() {} },
  });
  try {
    await broker.ready(AbortSignal.timeout(CONNECT_TIMEOUT_MS));
    return [
      connected(config, broker),
      await managementApi(config),
      ...(await topology(config, broker)),
      await publishing(config, broker),
    ];
  } catch (error) {
    return [
      {
        name: 'broker',
        verdict: 'failed',
        found: `${redactUrl(config.amqp.url)}: ${asError(error).message}`,
        mend: 'AMQP_URL says where: is it running, are user, password and vhost right? npm run demo starts one of its own',
      },
    ];
  } finally {
    await broker.close();
  }
}

function connected(config: Config, broker: Broker): Check {
  const blocked = broker.state.blocked;
  if (blocked !== undefined)
    return {
      name: 'broker',
      verdict: 'warning',
      found: `connected, but it takes no messages: ${blocked}`,
      mend: 'free memory or disk on the broker',
    };
  return { name: 'broker', verdict: 'ok', found: redactUrl(config.amqp.url) };
}

async function managementApi(config: Config): Promise<Check> {
  try {
    const { rabbitmqVersion } = await management(config).overview();
    const [major = 0, minor = 0] = rabbitmqVersion.split('.').map(Number);
    const supported = major > 3 || (major === 3 && minor >= 10);
    return {
      name: 'RabbitMQ',
      verdict: supported ? 'ok' : 'failed',
      found: rabbitmqVersion,
      ...(!supported && { mend: 'quorum queues with time to live need RabbitMQ 3.10 or newer' }),
    };
  } catch (error) {
    return {
      name: 'RabbitMQ',
      verdict: 'warning',
      found: `the management API does not answer: ${asError(error).message}`,
      mend: 'only up, recommend and KEDA need it; AMQP_MANAGEMENT_URL says where it is',
    };
  }
}

async function topology(config: Config, broker: Broker): Promise<Check[]> {
  const at = names(config.prefix);
  const missing: string[] = [];
  for (const queue of [
    ...listFunctions(config.functionsDir).map(at.queue),
    ...config.retry.delaysMs.map(at.retry),
    at.dead,
  ]) {
    const found = await broker.withChannel((channel) => inspectQueue(channel, queue)).catch(() => undefined);
    if (found === undefined) missing.push(queue);
  }
  if (missing.length === 0) return [{ name: 'queues', verdict: 'ok', found: 'all declared' }];
  return [
    {
      name: 'queues',
      verdict: 'failed',
      found: `not there: ${missing.join(', ')}`,
      mend: 'darkroom queues declare',
    },
  ];
}

/** A publish to the events exchange reaches nobody who does not listen, and proves the right to write. */
async function publishing(config: Config, broker: Broker): Promise<Check> {
  try {
    await broker.publish({
      exchange: names(config.prefix).events,
      routingKey: 'doctor',
      body: Buffer.from('{}'),
      signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS),
    });
    return { name: 'rights', verdict: 'ok', found: 'may publish' };
  } catch (error) {
    return {
      name: 'rights',
      verdict: 'failed',
      found: `cannot publish: ${asError(error).message}`,
      mend: 'declare the queues first; a worker’s user needs write on the exchanges and read on its queue',
    };
  }
}

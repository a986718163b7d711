/** `darkroom queues …`: what the broker holds for Darkroom. */
import { Command } from 'commander';
import type { Broker } from '../../amqp/broker.ts';
import { inspectTopology, names } from '../../amqp/topology.ts';
import { closestName } from '../../closest-name.ts';
import { readConfig } from '../../config.ts';
import { asError, UserError } from '../../errors.ts';
import { listFunctions } from '../../functions.ts';
import { confirmed } from '../confirm.ts';
import { EXIT } from '../exit-codes.ts';
import { conventional } from '../option-values.ts';
import { declareAll, topologyOf, withBroker } from '../session.ts';
import { escapeControls, print, printJson, printTable } from '../terminal.ts';

interface ListedQueue {
  queue: string;
  /** Ready to be delivered; null when the queue is not declared. */
  messages: number | null;
  consumers: number | null;
}

export function queuesCommand(): Command {
  const queues = new Command('queues').description('Declares, lists or purges Darkroom’s queues.');
  queues.addCommand(
    conventional(
      new Command('declare')
        .description('Declares every exchange and queue; what is there already is left as it is.')
        .action(declare),
      'darkroom queues declare',
    ),
  );
  queues.addCommand(
    conventional(
      new Command('list').description('Lists the queues with their messages and consumers.').action(list),
      'darkroom queues list',
    ),
  );
  queues.addCommand(
    conventional(
      new Command('purge')
        .description('Removes all messages that wait in the queues of the given filters, for good.')
        .argument('<filter...>', 'filters, or "dead"')
        .option('--yes', 'do not ask')
        .action(purge),
      'darkroom queues purge blur --yes',
    ),
  );
  return queues.addHelpText('after', '\nExample:\n  $ darkroom queues list');
}

async function declare(options: { json?: boolean }): Promise<void> {
  const config = readConfig();
  await withBroker(config, (broker) => declareAll(broker, config));
  const { filters, prefix } = topologyOf(config);
  if (options.json === true) printJson({ prefix, filters, declared: true });
  else
    print(
      `Declared the queues of ${filters.length} filters (${filters.join(', ')}), the retry queues, ${names(prefix).dead} and ${names(prefix).events}.`,
    );
}

async function list(options: { json?: boolean }): Promise<void> {
  const config = readConfig();
  const states = await withBroker(config, (broker) => inspectTopology(broker, topologyOf(config))).catch(
    (error: unknown) => {
      throw new UserError(`The queues cannot be listed: ${asError(error).message}`, { cause: error });
    },
  );
  const listed = [...states].map(
    ([queue, state]): ListedQueue => ({
      queue,
      messages: state?.messages ?? null,
      consumers: state?.consumers ?? null,
    }),
  );
  if (options.json === true) return printJson(listed);
  printTable(
    ['Queue', 'Ready', 'Consumers'],
    listed.map(({ queue, messages, consumers }) => [queue, messages ?? 'not declared', consumers ?? '']),
  );
}

async function purge(filters: string[], options: { yes?: boolean; json?: boolean }): Promise<void> {
  const config = readConfig();
  const at = names(config.prefix);
  const known = listFunctions(config.functionsDir);
  const queues = filters.map((filter) => {
    if (filter === 'dead') return at.dead;
    if (known.includes(filter)) return at.queue(filter);
    const near = closestName(filter, known);
    throw new UserError(`There is no filter "${filter}"${near ? `; did you mean "${near}"?` : '.'}`);
  });
  if (options.yes !== true) await confirmed(`Remove all waiting messages of ${queues.join(', ')}?`);
  const purged = await withBroker(config, async (broker) => {
    const results: PurgedQueue[] = [];
    for (const queue of queues) results.push(await purgeQueue(broker, queue));
    return results;
  });
  if (purged.some(({ why }) => why !== undefined)) process.exitCode = EXIT.failed;
  if (options.json === true) return printJson(purged);
  for (const { queue, messages, why } of purged)
    print(why === undefined ? `${queue}: removed ${messages} messages.` : escapeControls(`${queue}: ${why}`));
}

interface PurgedQueue {
  queue: string;
  messages: number;
  /** Why nothing was removed. */
  why?: string;
}

/** On a channel of its own, which a refusal closes. */
async function purgeQueue(broker: Broker, queue: string): Promise<PurgedQueue> {
  try {
    const { messageCount } = await broker.withChannel((channel) => channel.purgeQueue(queue));
    return { queue, messages: messageCount };
  } catch (thrown) {
    return { queue, messages: 0, why: asError(thrown).message };
  }
}

/** `darkroom worker FILTER…`: what a container runs. */
import { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { runWorker } from '../../worker/launcher.ts';
import { wholeNumber } from '../option-values.ts';

interface WorkerOptions {
  port?: string;
  withParent?: boolean;
  parent?: number;
}

export function workerCommand(): Command {
  return new Command('worker')
    .description(
      'Works on the queue of each FILTER until SIGTERM: prefetch 1, acknowledged only when the result is safe. Logs are JSON on standard output.',
    )
    .argument('[filter...]', 'filters to work on (default: FUNCTION)')
    .option('--port <port>', 'port for /livez, /readyz and /metrics, 0 for any (default: HTTP_PORT)')
    .option('--with-parent', 'end with the process that started this one')
    .option('--parent <pid>', 'end with the process of this id', wholeNumber(1))
    .option('--json', 'accepted as in other commands; the log is JSON anyway')
    .addHelpText(
      'after',
      '\nExample:\n  $ AMQP_URL=amqp://guest:guest@localhost STORAGE_URL=file:///srv/images darkroom worker blur',
    )
    .action(async (filters: string[], options: WorkerOptions) => {
      const env = { ...process.env, ...(options.port !== undefined && { HTTP_PORT: options.port }) };
      const config = readConfig(env);
      const parent = options.parent ?? (options.withParent === true ? process.ppid : undefined);
      const named = filters.flatMap((filter) => filter.split(',')).filter((filter) => filter !== '');
      await runWorker(named.length > 0 ? { ...config, functions: named } : config, parent);
    });
}

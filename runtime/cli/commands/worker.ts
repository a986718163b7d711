/** `darkroom worker FILTER…`: what a container runs. */
import { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { runWorker } from '../../worker/launcher.ts';

export function workerCommand(): Command {
  return new Command('worker')
    .description(
      'Works on the queue of each FILTER until SIGTERM: prefetch 1, acknowledged only when the result is safe. Logs are JSON on standard output.',
    )
    .argument('[filter...]', 'filters to work on (default: FUNCTION)')
    .option('--port <port>', 'port for /livez, /readyz and /metrics, 0 for any (default: HTTP_PORT)')
    .option('--with-parent', 'stop when the process that started this one ends')
    .option('--json', 'accepted as in other commands; the log is JSON anyway')
    .addHelpText(
      'after',
      '\nExample:\n  $ AMQP_URL=amqp://guest:guest@localhost STORAGE_URL=file:///srv/images darkroom worker blur',
    )
    .action(async (filters: string[], options: { port?: string; withParent?: boolean }) => {
      if (options.withParent === true) stopWithParent();
      const env = { ...process.env, ...(options.port !== undefined && { HTTP_PORT: options.port }) };
      const config = readConfig(env);
      const named = filters.flatMap((filter) => filter.split(',')).filter((filter) => filter !== '');
      await runWorker(named.length > 0 ? { ...config, functions: named } : config);
    });
}

const PARENT_POLL_MS = 1_000;

/** A process whose parent was killed gets another one; then this one drains as on SIGTERM. */
function stopWithParent(): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, PARENT_POLL_MS);
  timer.unref();
}

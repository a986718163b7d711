/**
 * Fills the compile cache while the image is built, so that containers with a read-only root start from it: a worker
 * runs for a moment, for the functions that a start calls. Then every other module is loaded once.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import module from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

const WORKER_RUN_MS = 4_000;
/** Packages that are loaded only when they are used. */
const LAZY_PACKAGES = ['@aws-sdk/client-s3', '@opentelemetry/sdk-node', '@opentelemetry/exporter-prometheus'];
const root = fileURLToPath(new URL('../..', import.meta.url));

await runWorkerWithoutBroker();
module.enableCompileCache(`${root}node_modules/.cache/darkroom`);
for (const name of LAZY_PACKAGES) await import(name);
for (const file of globSync('{functions,runtime,keda}/**/*.ts', { cwd: root })) {
  if (file === 'runtime/cli/warm-compile-cache.ts') continue;
  // What is compiled stays in the cache, even where running it asks for a parent process or arguments.
  await import(pathToFileURL(`${root}${file}`).href).catch(() => {});
}
process.exit(0);

async function runWorkerWithoutBroker(): Promise<void> {
  const worker = spawn(
    process.execPath,
    [`${root}runtime/cli/darkroom.mjs`, 'worker', 'resize', '--port=0'],
    {
      env: { ...process.env, AMQP_URL: 'amqp://127.0.0.1:1', LOG_LEVEL: 'fatal' },
      stdio: 'inherit',
    },
  );
  const exited = once(worker, 'exit');
  await sleep(WORKER_RUN_MS);
  worker.kill('SIGTERM');
  const [code] = await exited;
  if (code !== 0) throw new Error(`the worker ended with ${code} instead of draining`);
}

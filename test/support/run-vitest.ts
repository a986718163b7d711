/** Runs vitest as a process of its own. */
import { type StdioOptions, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from './temporary-folder.ts';
import { countTests, type TestCounts } from './test-counts.ts';

const VITEST = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
const CONFIG = fileURLToPath(new URL('../vitest.config.ts', import.meta.url));

export interface VitestRun {
  config?: string;
  env?: NodeJS.ProcessEnv;
  stdio?: StdioOptions;
}

/** @returns its exit code */
export async function runVitest(args: readonly string[], run: VitestRun = {}): Promise<number> {
  const { config = CONFIG, env = process.env, stdio = 'inherit' } = run;
  const vitest = spawn(process.execPath, [VITEST, 'run', '--config', config, ...args], { env, stdio });
  // Ctrl-C reaches vitest by itself; staying until it has ended is what stops everything in good order.
  const stay = () => {};
  const pass = () => vitest.kill('SIGTERM');
  process.on('SIGINT', stay).on('SIGTERM', pass);
  try {
    return await new Promise((resolve, reject) => {
      vitest.once('error', reject);
      vitest.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
    });
  } finally {
    process.off('SIGINT', stay).off('SIGTERM', pass);
  }
}

/** The same, and counts its tests. */
export async function runCounted(
  args: readonly string[],
  run: VitestRun = {},
): Promise<TestCounts & { exitCode: number }> {
  await using folder = await temporaryFolder();
  const report = join(folder.path, 'report.json');
  const exitCode = await runVitest(['--reporter=json', `--outputFile.json=${report}`, ...args], run);
  return { ...(await countTests(report, exitCode)), exitCode };
}

/** How `npm test` runs vitest. Tests that need a cluster, minutes or a quiet machine have commands of their own. */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const TEST_TIMEOUT_MS = 30_000;
const HOOK_TIMEOUT_MS = 90_000;

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/e2e/**'],
    pool: 'forks',
    // Brokers, workers and image threads need cores beside the tests themselves.
    maxWorkers: Math.min(4, availableParallelism()),
    testTimeout: TEST_TIMEOUT_MS,
    hookTimeout: HOOK_TIMEOUT_MS,
    teardownTimeout: HOOK_TIMEOUT_MS,
  },
});

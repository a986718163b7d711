/** How the tests that take minutes run: one after another. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const SLOW_TEST_TIMEOUT_MS = 600_000;

export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    include: ['test/chaos/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: SLOW_TEST_TIMEOUT_MS,
    hookTimeout: SLOW_TEST_TIMEOUT_MS,
  },
});

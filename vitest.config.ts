import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/order.ts';

/** scripts/test.sh names a file here when it wants the results as JSON too. */
const report = process.env.TENURE_TEST_REPORT;

export default defineConfig({
  cacheDir: join(tmpdir(), `tenure-vitest-${userInfo().uid}`),
  test: {
    passWithNoTests: true,
    sequence: { sequencer: LongestFirst },
    fsModuleCache: false, // its folder would be in the checkout, which the unprivileged user cannot write
    reporters: report ? ['default', 'json'] : ['default'],
    ...(report ? { outputFile: { json: report } } : {}),
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [
            'test/**/*.real.test.ts',
            'test/**/*.sim.test.ts',
            'test/**/*.container.test.ts',
            '**/node_modules/**',
          ],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          // Thousands of schedules in virtual time, in processes of their own with a low priority:
          // they use what the real servers leave of the processors.
          name: 'simulation',
          include: ['test/**/*.sim.test.ts'],
          maxWorkers: 5,
          maxConcurrency: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          // Real PostgreSQL, etcd and HAProxy: needs an unprivileged user (scripts/unprivileged.sh).
          name: 'integration',
          include: ['test/**/*.real.test.ts'],
          globalSetup: ['test/lab/cache.ts'],
          setupFiles: ['test/lab/story.ts'],
          // Mostly they wait for PostgreSQL and for leases to end.
          maxWorkers: 5,
          // A test is several waits, each with a deadline of its own that says what was missing.
          testTimeout: 180_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 1 },
        },
      },
      // Docker and images made for it: only where scripts/containers.sh asks for it.
      ...(process.env.TENURE_IMAGE
        ? [
            {
              extends: true as const,
              test: {
                name: 'containers',
                include: ['test/**/*.container.test.ts'],
                maxWorkers: 2,
                testTimeout: 120_000,
                hookTimeout: 120_000,
              },
            },
          ]
        : []),
    ],
  },
});

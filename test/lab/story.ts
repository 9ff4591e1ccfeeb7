/** What the daemons and servers of a failed test wrote last: it may fail once on a machine that nobody can look into. */
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { beforeEach, onTestFailed } from 'vitest';
import { openLogs } from '../../scripts/lab/lab.ts';

const LINES = 120;

beforeEach(() => {
  onTestFailed(({ task }) => {
    for (const log of openLogs()) {
      if (!existsSync(log)) continue;
      const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
      const told = `== ${task.name}: ${basename(log)}, the last ${LINES} of ${lines.length} lines`;
      process.stderr.write(`${told}\n${lines.slice(-LINES).join('\n')}\n`);
    }
  });
});

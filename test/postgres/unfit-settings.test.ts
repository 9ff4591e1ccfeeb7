import { expect, it } from 'vitest';
import { complaint } from '../../src/postgres/unfit-settings.ts';

it.each([
  [
    '2026-11-21 01:00:00.1 GMT [7] LOG:  unrecognized configuration parameter "No_Such" in file "/c/p.conf.check" line 12',
    'no_such',
    'unrecognized configuration parameter "No_Such"',
  ],
  [
    '2026 GMT [7] FATAL:  invalid value for parameter "work_mem": "lots"\nHINT: Valid units',
    'work_mem',
    'invalid value for parameter "work_mem": "lots"',
  ],
  [
    'x LOG:  9 is outside the valid range for parameter "deadlock_timeout" (1 .. 2147483647)',
    'deadlock_timeout',
    '9 is outside the valid range for parameter "deadlock_timeout" (1 .. 2147483647)',
  ],
])('what PostgreSQL says is understood: %s', (said, name, why) => {
  expect(complaint(`noise\n${said}`, '/c/p.conf.check')).toEqual({ name, why });
});

it('what is not about a setting is nobody’s', () => {
  const said = 'x FATAL:  could not open configuration file "/c/base.conf": No such file';
  expect(complaint(said, '/c/p.conf')).toBeNull();
});

/** What is no sign of life, and what is one (rule F2; field D65). */
import { expect, it } from 'vitest';
import { TimeoutError } from '../../src/clock.ts';
import { isSilence } from '../../src/postgres/session.ts';

const sql = (code: string, message: string): Error => Object.assign(new Error(message), { code });

it.each([
  ['D65: a statement_timeout', sql('57014', 'canceling statement due to statement timeout'), false],
  ['too many clients', sql('53300', 'sorry, too many clients already'), false],
  ['starting up', sql('57P03', 'the database system is starting up'), false],
  ['no answer in time', new TimeoutError('PostgreSQL: no answer in 2300 ms'), true],
  ['a refused connection', sql('ECONNREFUSED', 'connect ECONNREFUSED'), true],
])('%s', (_what, error, silent) => {
  expect(isSilence(error)).toBe(silent);
});

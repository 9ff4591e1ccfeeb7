/** What counts as silence of a server, and what is a sign of life (field D65, contract section 9, issue 10). */
import { expect, it } from 'vitest';
import { TimeoutError } from '../../src/clock.ts';
import { isSilence } from '../../src/postgres/session.ts';

const answered = (code: string, message: string): Error =>
  Object.assign(new Error(message), { code });

it.each([
  ['57014', 'canceling statement due to statement timeout'],
  ['53300', 'sorry, too many clients already'],
  ['57P03', 'the database system is starting up'],
])('D65: %s (%s) is an answer: nobody is demoted for it', (code, message) => {
  expect(isSilence(answered(code, message))).toBe(false);
});

it('is a question that nobody answers, or nobody listens to', () => {
  expect(isSilence(new TimeoutError('PostgreSQL: no answer in 2300 ms'))).toBe(true);
  expect(isSilence(answered('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:5432'))).toBe(true);
  expect(isSilence(new Error('timeout expired'))).toBe(true);
});

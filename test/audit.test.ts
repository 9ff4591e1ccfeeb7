/** The dependency audit of .ci/run: what fails it, and what does not. */
import { expect, it } from 'vitest';
import { verdict } from '../scripts/audit.mjs';

const report = (high: number, critical: number, names: Readonly<Record<string, unknown>> = {}) =>
  JSON.stringify({
    auditReportVersion: 2,
    vulnerabilities: names,
    metadata: { vulnerabilities: { info: 0, low: 1, moderate: 2, high, critical, total: 3 } },
  });

it.each([
  [report(0, 0), false, 'passed: none from high on, 3 below'],
  [report(1, 0, { x: { severity: 'high' }, y: { severity: 'low' } }), true, 'FAILED: x (high)'],
  [report(0, 1, { z: { severity: 'critical' } }), true, 'FAILED: z (critical)'],
  // As npm says it when the registry has no such endpoint, or does not answer.
  ['{"message":"404 Not Found\\nmore","error":{"summary":""}}', false, 'not done: 404 Not Found'],
  ['{"error":{"summary":"request failed"}}', false, 'not done: request failed'],
  ['<html>', false, 'not done: the registry gave no answer that can be read'],
  ['', false, 'not done: the registry gave no answer that can be read'],
])('%s', (printed, bad, line) => {
  expect(verdict(printed)).toEqual({ bad, line });
});

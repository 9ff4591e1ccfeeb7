/** Tables of "given, decides, because": each row is one situation and what is done in it. */
import { expect, it } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import type { Observation } from '../../src/core/model.ts';

export interface Case {
  readonly given: string;
  readonly observation: Observation;
  readonly rule: string;
  /** The names of the steps, in order. */
  readonly steps: readonly string[];
  readonly because: string;
}

export function itDecides(cases: readonly Case[]): void {
  it.each(cases)('$given: $rule $steps, because $because', ({ observation, rule, steps }) => {
    const decision = decide(observation);
    expect(decision.rule, decision.why).toBe(rule);
    expect(
      decision.steps.map((step) => step.do),
      decision.why,
    ).toEqual(steps);
  });
}

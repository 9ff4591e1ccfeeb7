/** The broken variants, each with the number of schedules within which it has to be caught. */
import { agentVariants } from './agent.ts';
import { coreVariants } from './core.ts';
import { failsafeVariants } from './failsafe.ts';
import { foundVariants } from './found.ts';
import { guardVariants } from './guard.ts';
import { synchronousVariants } from './synchronous.ts';
import type { Variant } from './variant.ts';

export const catalogue: readonly Variant[] = [
  ...agentVariants,
  ...coreVariants,
  ...foundVariants,
  ...guardVariants,
  ...failsafeVariants,
  ...synchronousVariants,
];

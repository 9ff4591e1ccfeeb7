/** Transactions that may be sent twice, because the second can tell what became of the first. */
import type { Budget } from './calls.ts';
import { StoreUnavailable } from './keyvalue.ts';

/**
 * Once more, within the budget, when the outcome of the first try is unknown.
 * @param attempt gets true when it runs again; a transaction that failed because of its own first
 *   run has to recognise what that left behind
 */
export async function settled(
  budget: Budget,
  attempt: (repeated: boolean) => Promise<boolean>,
): Promise<boolean> {
  try {
    return await attempt(false);
  } catch (error) {
    const unknown = error instanceof StoreUnavailable && error.mayHaveHappened;
    if (!unknown || budget.leftMs === 0) throw error;
    return attempt(true).catch((again: unknown) => {
      // The second answer may be certain about itself, but not about the first.
      throw again instanceof StoreUnavailable ? error : again;
    });
  }
}

/** What was found on this node: whose is it, and may it be taking writes? */
import type { ClusterView, PostgresFacts } from './model.ts';

/** False only where that is known. */
export function perhapsPrimary(facts: PostgresFacts): boolean {
  if (facts.postmaster.kind === 'none') return facts.orphans > 0;
  if (facts.sql.known) return !facts.sql.value.inRecovery;
  return !facts.standbySignal;
}

/** Not positively another's: nothing is there yet, or nothing contradicts it. */
export function mayBeOurs(
  { dataDirectory, control }: PostgresFacts,
  { initialize }: ClusterView,
): boolean {
  if (dataDirectory.kind === 'foreign' || dataDirectory.kind === 'unreadable') return false;
  if (!control.known || initialize.kind !== 'initialized') return true;
  return control.value.systemIdentifier === initialize.systemIdentifier;
}

/** Positively this cluster's: nothing is written into any other folder, an empty one included (S7). */
export function isOurs(
  { dataDirectory, control }: PostgresFacts,
  { initialize }: ClusterView,
): boolean {
  if (dataDirectory.kind !== 'cluster' || !control.known) return false;
  if (initialize.kind !== 'initialized') return false;
  return control.value.systemIdentifier === initialize.systemIdentifier;
}

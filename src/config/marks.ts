/** What the schema says about keys that are more than a value: shown in warnings and in the documentation. */
import * as z from 'zod';

/**
 * Carried by the schema's metadata, so that it also comes out in the JSON Schema.
 * `unsupported`: known, kept, not acted on; one warning. `refused`: the daemon does not start with it.
 */
export interface Marks {
  readonly description?: string;
  readonly allowed?: string;
  readonly unsupported?: string;
  readonly refused?: string;
  /** Read by nobody, on purpose. */
  readonly noEffect?: boolean;
  /** Keys that are not listed are welcome (tags). */
  readonly open?: boolean;
}

/** A key that this version keeps and does not act on. `what` ends the sentence "X is not supported yet: …". */
export function unsupported(what: string) {
  return z
    .unknown()
    .optional()
    .meta({ description: 'Not supported yet.', unsupported: what, deprecated: true });
}

/** A key with which the daemon does not start, because ignoring it could cost data or split the cluster. */
export function refused(why: string) {
  return z
    .unknown()
    .optional()
    .meta({ description: 'Refused.', refused: why, enum: [null, false, '', 'off', 'no', [], {}] });
}

/** A key without effect here, on purpose: nothing is missing, so nothing is said at start. */
export function withoutEffect(why: string) {
  return z
    .unknown()
    .optional()
    .meta({ description: `No effect: ${why}`, noEffect: true });
}

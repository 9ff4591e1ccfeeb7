/** Maps laid over each other. */

export type Tree = Readonly<Record<string, unknown>>;

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `over` wins; maps are merged key by key, everything else is replaced. */
export function overlay(base: Tree, over: Tree): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isTree(below) && isTree(value) ? overlay(below, value) : value;
  }
  return merged;
}

/** A key without a value counts as not set. */
export function withoutNulls(tree: Tree): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(tree).flatMap(([key, value]) => {
      if (value === null || value === undefined) return [];
      return [[key, isTree(value) ? withoutNulls(value) : value]];
    }),
  );
}

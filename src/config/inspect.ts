/**
 * Walks a configuration along the JSON Schema of its zod schema: keys that nobody knows, keys that
 * are not supported, keys that are refused.
 */
import * as z from 'zod';
import { faultLine, pathText } from './errors.ts';
import type { Marks } from './marks.ts';
import { isTree, type Tree } from './merge.ts';

/** A node of the JSON Schema, with our marks. */
export interface SchemaNode extends Marks {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly default?: unknown;
}

/** The JSON Schema of what people may write. */
export function jsonSchema(schema: z.ZodType): SchemaNode {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as SchemaNode;
}

export interface Findings {
  readonly warnings: readonly string[];
  readonly faults: readonly string[];
}

/** @param at path of `tree` in the whole configuration, for messages */
export function inspect(node: SchemaNode, tree: Tree, at: readonly string[] = []): Findings {
  const warnings: string[] = [];
  const faults: string[] = [];
  const known = node.properties ?? {};
  for (const [key, value] of Object.entries(tree)) {
    const path = [...at, key];
    const below = known[key];
    if (below === undefined) {
      if (node.properties && node.open !== true)
        warnings.push(unknownKey(path, Object.keys(known)));
    } else if (below.refused !== undefined) {
      if (!isOff(value))
        faults.push(faultLine(nest(path, value), path, `not set (${below.refused})`));
    } else if (below.unsupported !== undefined) {
      if (!isOff(value))
        warnings.push(`${pathText(path)} is not supported yet: ${below.unsupported}`);
    } else if (isTree(value)) {
      const found = inspect(below, value, path);
      warnings.push(...found.warnings);
      faults.push(...found.faults);
    }
  }
  return { warnings, faults };
}

/** A key that is set to nothing, off or empty asks for nothing. */
function isOff(value: unknown): boolean {
  if (value === false || value === null || value === undefined) return true;
  if (typeof value === 'string') return ['', 'off', 'false', 'no'].includes(value.toLowerCase());
  if (Array.isArray(value)) return value.length === 0;
  return isTree(value) && Object.keys(value).length === 0;
}

function nest(path: readonly string[], value: unknown): unknown {
  return path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
}

function unknownKey(path: readonly string[], known: readonly string[]): string {
  const near = nearest(path.at(-1) ?? '', known);
  return `${pathText(path)} is not known: kept, without effect${near ? ` (did you mean ${near}?)` : ''}`;
}

/** The known key within two edits (one for short keys), null when there is none. */
function nearest(key: string, known: readonly string[]): string | null {
  const limit = key.length <= 4 ? 1 : 2;
  let best: string | null = null;
  let bestDistance = limit + 1;
  for (const candidate of known) {
    const distance = edits(key.toLowerCase(), candidate, limit);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein distance, or more than `limit` when it is out of reach by length alone. */
function edits(left: string, right: string, limit: number): number {
  if (Math.abs(left.length - right.length) > limit) return limit + 1;
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const change = left[row - 1] === right[column - 1] ? 0 : 1;
      const cost = [
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + change,
      ];
      current.push(Math.min(...cost));
    }
    previous = current;
  }
  return previous.at(-1) ?? 0;
}

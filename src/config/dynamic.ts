/** Reads `/config` key by key: a value that cannot be used costs that key alone, never the tick (S4). */
import * as z from 'zod';
import { describeFound, isSecretPath } from './errors.ts';
import { inspect, jsonSchema } from './inspect.ts';
import { isTree, type Tree, withoutNulls } from './merge.ts';
import { dynamicPostgresqlSchema, dynamicSchema, LOCAL_ONLY_POSTGRESQL } from './schema-dynamic.ts';

type Values<T extends z.ZodObject> = Partial<z.output<T>>;

export interface Dynamic {
  /** Without `postgresql`, which is beside it. */
  readonly values: Values<typeof dynamicSchema>;
  readonly postgresql: Values<typeof dynamicPostgresqlSchema>;
  /** Without the keys that have no value. */
  readonly raw: Tree;
  readonly warnings: readonly string[];
}

const dynamicJsonSchema = jsonSchema(dynamicSchema);
const postgresqlNode = jsonSchema(dynamicPostgresqlSchema);

/** Keys of the local `postgresql` section that are understood there, but not yet in `/config`. */
function postgresqlWarnings(tree: Tree, known: Readonly<Record<string, unknown>>): string[] {
  const methods = tree.create_replica_methods;
  return Object.keys(tree).flatMap((key) => {
    if (key in known || (Array.isArray(methods) && methods.includes(key))) return [];
    if (LOCAL_ONLY_POSTGRESQL.has(key))
      return [`/config postgresql.${key} is ignored: it belongs to one member`];
    return [`/config postgresql.${key} is without effect: set it in the file of each member`];
  });
}

/** Sections of the operator's own methods, as they are. */
function methodsOf(tree: Tree): Tree {
  const names = Array.isArray(tree.create_replica_methods) ? tree.create_replica_methods : [];
  return Object.fromEntries(
    names.flatMap((name) => (isTree(tree[name]) ? [[name, tree[name]]] : [])),
  );
}

function onlyKnown(tree: Tree): Tree {
  return Object.fromEntries(
    Object.entries(tree).filter(([key]) => key in dynamicPostgresqlSchema.shape),
  );
}

export function readDynamic(tree: Tree): Dynamic {
  const clean = withoutNulls(tree);
  const warnings: string[] = [];
  const { postgresql: section, ...rest } = clean;
  const { postgresql: _postgresql, ...shape } = dynamicSchema.shape;
  const values = readEach(shape, rest, [], warnings);
  const below = isTree(section) ? section : {};
  if (section !== undefined && !isTree(section)) {
    warnings.push(
      `/config postgresql: found ${describeFound(section, false)}, allowed: a map: nothing is used`,
    );
  }
  const postgresql = {
    ...methodsOf(below),
    ...readEach(dynamicPostgresqlSchema.shape, below, ['postgresql'], warnings),
  };
  const found = inspect(dynamicJsonSchema, rest);
  const inside = inspect(postgresqlNode, onlyKnown(below), ['postgresql']);
  warnings.push(...[...found.warnings, ...inside.warnings].map((line) => `/config ${line}`));
  warnings.push(...postgresqlWarnings(below, dynamicPostgresqlSchema.shape));
  return { values, postgresql, raw: clean, warnings };
}

function readEach<S extends z.ZodRawShape>(
  shape: S,
  tree: Tree,
  at: readonly string[],
  warnings: string[],
): Partial<z.output<z.ZodObject<S>>> {
  const read: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries(shape)) {
    const value = tree[key];
    if (value === undefined) continue;
    const parsed = z.safeParse(schema, value);
    if (parsed.success) read[key] = parsed.data;
    else {
      const path = [...at, key];
      const allowed = parsed.error.issues[0]?.message ?? 'something else';
      const found = describeFound(value, isSecretPath(path));
      warnings.push(
        `/config ${path.join('.')}: found ${found}, allowed: ${allowed}: the default is used`,
      );
    }
  }
  return read as Partial<z.output<z.ZodObject<S>>>;
}

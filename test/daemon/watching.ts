/** What the tests of this folder share: starts that fail, what stands in a log, what a folder holds. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFailed } from 'vitest';
import {
  type Cluster,
  type Exit,
  type Node,
  processesIn,
  waitFor,
  within,
} from '../../scripts/lab/index.ts';

/** For one start of a daemon that refuses: Node's own start on a busy machine is most of it. */
const REFUSAL_MS = 20_000;

export interface Refusal extends Exit {
  /** Everything the daemon said, standard output and standard error together. */
  readonly said: string;
}

/** Starts the daemon and waits for it to end by itself. */
export async function refusal(node: Node): Promise<Refusal> {
  const before = saidBy(node).length;
  const daemon = await node.start();
  const exit = await within(REFUSAL_MS, daemon.exited);
  const said = saidBy(node).slice(before);
  if (exit === undefined)
    throw new Error(`${node.name} did not refuse to start; it said:\n${said}`);
  return { ...exit, said };
}

/** One message: exit code 1, no stack, and every one of `names` in it; nothing runs afterwards. */
export async function expectRefusal(
  node: Node,
  names: readonly (string | RegExp)[],
): Promise<Refusal> {
  const found = await refusal(node);
  expect(found, found.said).toMatchObject({ code: 1, signal: null });
  for (const name of names) expect(found.said).toMatch(name);
  expect(found.said, 'a stack is no message').not.toMatch(/^\s+at .*:\d+:\d+/m);
  const complaints = found.said.split('\n').filter((line) => /CRITICAL|^tenure: /.test(line));
  expect(complaints, found.said).toHaveLength(1);
  return found;
}

/** All that this node's daemons have written so far. */
export function saidBy(node: Node): string {
  try {
    return readFileSync(node.log, 'utf8');
  } catch {
    return '';
  }
}

/** Remembers the end of a log: `since()` is what was written afterwards. */
export function logMark(node: Node): { since(): string } {
  const length = saidBy(node).length;
  return { since: () => saidBy(node).slice(length) };
}

/** Waits until a log has a line that matches; gives the line. */
export function logged(
  node: Node,
  mark: { since(): string },
  pattern: RegExp,
  deadlineMs = 15_000,
): Promise<string> {
  return waitFor(`${node.name} to log ${pattern}`, deadlineMs, (seen) => {
    const lines = mark.since().split('\n');
    seen(lines.slice(-5).join('\n'));
    return lines.find((line) => pattern.test(line));
  });
}

/** Every file and folder below with size, mode, time and content: equal means untouched. */
export function fingerprint(folder: string): readonly string[] {
  const lines: string[] = [];
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(folder, name);
    const { mode, mtimeMs, size } = lstatSync(path);
    const content = lstatSync(path).isFile()
      ? createHash('sha1').update(readFileSync(path)).digest('hex')
      : '';
    lines.push(`${name} ${mode.toString(8)} ${mtimeMs} ${size} ${content}`);
  }
  return lines;
}

/** Nothing of PostgreSQL runs in this node's data directory. */
export function expectNoServer(node: Node): void {
  expect(processesIn(node.dataDir)).toEqual([]);
}

/** The one node that leads and the one that follows it. */
export async function pair(cluster: Cluster): Promise<{ primary: Node; replica: Node }> {
  const primary = await cluster.healthy();
  const [replica] = cluster.others(primary.name);
  if (replica === undefined) throw new Error('this cluster has one node only');
  return { primary, replica };
}

/** Writes a row on the primary and waits until the replica shows it: the pair does its work. */
export async function replicates(primary: Node, replica: Node): Promise<void> {
  await primary.query('CREATE TABLE IF NOT EXISTS probe (id serial PRIMARY KEY)');
  const [row] = await primary.query<{ id: number }>(
    'INSERT INTO probe DEFAULT VALUES RETURNING id',
  );
  await waitFor(`row ${row?.id} on ${replica.name}`, 20_000, async () => {
    const rows = await replica.query('SELECT 1 FROM probe WHERE id = $1', [row?.id]);
    return rows.length === 1;
  });
}

/** When the test that calls this fails, the ends of all daemons' logs are printed. */
export function tellOnFailure(nodes: readonly Node[], lines = 40): void {
  onTestFailed(() => {
    for (const node of nodes) {
      const end = saidBy(node).trimEnd().split('\n').slice(-lines).join('\n');
      process.stderr.write(`\n--- the log of ${node.name} ends with\n${end}\n`);
    }
  });
}

/** One fault, from its beginning until the cluster is whole again, and what the checker found. */

import { cpus, loadavg } from 'node:os';
import { pause } from '../lab/index.ts';
import { longestGap } from '../lab/writer.ts';
import { inflict } from './faults.ts';
import type { History } from './history.ts';
import type { Entry } from './ledger.ts';
import { PROXY, type Scene } from './scene.ts';
import type { Fault } from './schedule.ts';
import { healsWithinMs, judge } from './verdict.ts';
import { TABLE } from './writer.ts';

/** Waited on beyond what is allowed, so that late is told from never, ms. */
const PATIENCE_MS = 60_000;
/** Writes of this time before a fault are judged with it, ms. */
const BEFORE_MS = 2000;

export type Played = Omit<Entry, 'at' | 'seed'>;

export async function play(scene: Scene, fault: Fault): Promise<Played> {
  const from = performance.now();
  scene.forget(from - BEFORE_MS);
  const cancelledBefore = cancelledWaits(scene);
  const { undo, on } = await inflict(scene, fault);
  await pause(fault.durationMs);
  await undo();
  const undone = performance.now();
  const healed = await scene
    .whole(performance.now(), healsWithinMs(fault.kind, loadPerProcessor()) + PATIENCE_MS)
    .then(
      () => ({ ms: performance.now() - undone, why: null }),
      (error: unknown) => ({ ms: null, why: (error as Error).message }),
    );
  const history = scene.history();
  const present = healed.ms === null ? () => true : await rowsOf(scene, history);
  const load = loadPerProcessor();
  const { kind } = fault;
  const evidence = { mode: scene.mode, kind, history, present, healedMs: healed.ms, load };
  const { loss, afterThaw, violations } = judge(evidence);
  const times = history.acknowledged.filter(({ writer }) => writer === PROXY).map(({ at }) => at);
  return {
    mode: scene.mode,
    network: scene.network === null ? 'loopback' : 'namespaces',
    number: fault.number,
    kind: fault.kind,
    on,
    durationMs: fault.durationMs,
    outageMs: Math.round(longestGap(times, from, performance.now()).ms),
    healedMs: healed.ms === null ? null : Math.round(healed.ms),
    load: Math.round(load * 10) / 10,
    acknowledged: history.acknowledged.length,
    cancelledWaits: cancelledWaits(scene) - cancelledBefore,
    lost: loss.writes.length,
    lostBytes: loss.bytes,
    lostMs: Math.round(loss.ms),
    excused: afterThaw,
    violations: [...violations, ...(healed.why === null ? [] : [healed.why])],
  };
}

const loadPerProcessor = (): number => (loadavg()[0] ?? 0) / cpus().length;

const cancelledWaits = ({ writers }: Scene): number =>
  writers.reduce((sum, writer) => sum + writer.cancelledWaits, 0);

/** Whether the cluster has a write that was acknowledged in this history, as its primary sees it. */
async function rowsOf(
  scene: Scene,
  { acknowledged }: History,
): Promise<(writer: string, id: number) => boolean> {
  const first = new Map<string, number>();
  for (const { writer, id } of acknowledged) {
    first.set(writer, Math.min(id, first.get(writer) ?? id));
  }
  const primary = await scene.primary();
  const found = new Set<string>();
  for (const [writer, id] of first) {
    const sql = `SELECT id FROM ${TABLE} WHERE writer = $1 AND id >= $2`;
    for (const row of await primary.query<{ id: string }>(sql, [writer, id])) {
      found.add(`${writer} ${row.id}`);
    }
  }
  return (writer, id) => found.has(`${writer} ${id}`);
}

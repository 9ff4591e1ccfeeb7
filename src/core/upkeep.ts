/** What a leader keeps in order for everybody: the cluster's keys, and the members' slots (contract 2.3, 5.16). */
import { clusterTimeline } from './history.ts';
import type { Step } from './model.ts';
import type { Situation } from './rules.ts';
import { wantedSlots } from './slots.ts';

/** In pause too (contract 5.3.5, 5.10.2): then only nothing is dropped. */
export function upkeep(s: Situation): readonly Step[] {
  const { seen, cluster, sql } = s;
  if (sql === null) return [];
  const steps: Step[] = [];
  if (cluster.initialize.kind !== 'initialized') {
    steps.push({ do: 'writeInitialize', systemIdentifier: sql.systemIdentifier });
  }
  if (cluster.config.kind === 'absent') steps.push({ do: 'writeConfig' });
  const timeline = sql.timeline;
  if (
    timeline !== null &&
    seen.memory.historyWrittenFor !== timeline &&
    historyIsBehind(s, timeline)
  ) {
    steps.push({ do: 'writeHistory', timeline });
  }
  const slots = wantedSlots(s);
  if (slots !== null) steps.push(slots);
  return steps;
}

function historyIsBehind({ cluster }: Situation, timeline: number): boolean {
  if (cluster.history === null) return timeline > 1;
  return clusterTimeline(cluster.history) !== timeline;
}

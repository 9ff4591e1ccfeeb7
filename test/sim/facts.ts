/** What a look at the simulated server and its disk shows. */

import type {
  ControlFile,
  DataDirectory,
  Known,
  PostgresFacts,
  SqlFacts,
  WalSenderFacts,
} from '../../src/core/model.ts';
import { slotName } from '../../src/core/slots.ts';
import { abandoned } from './disk.ts';
import type { Replication } from './replication.ts';
import type { Machine } from './world.ts';

export const PORT = 5432;
const STARTED = '2026-11-20 11:35:41.199757+00:00';

export function factsOf(
  machine: Machine,
  ask: { readonly searchWalEnd: boolean; readonly working: boolean },
): PostgresFacts {
  const { server, disk } = machine;
  server.replication.advance();
  const marker = ask.working ? null : abandoned(disk.marker);
  return {
    dataDirectory: directoryOf(machine),
    control: controlOf(machine),
    standbySignal: disk.standbySignal,
    postmaster: server.alive
      ? {
          kind: 'alive',
          pid: 100 + server.generation,
          startTicks: server.generation,
          adopted: false,
        }
      : { kind: 'none' },
    orphans: server.alive ? 0 : server.orphans,
    ready: readiness(machine),
    sql: sqlOf(machine),
    interrupted: marker?.kind ?? null,
    incarnation: disk.incarnation,
    walEnd: walEnd(machine, ask.searchWalEnd),
  };
}

function directoryOf({ disk }: Machine): DataDirectory {
  if (disk.kind === 'empty') return { kind: 'empty' };
  // A copy that has begun in place is no cluster yet, and no longer empty.
  if (disk.broken === 'clone') return { kind: 'foreign', why: 'not empty and without PG_VERSION' };
  return { kind: 'cluster', majorVersion: 15 };
}

function readiness({ server }: Machine): PostgresFacts['ready'] {
  if (!server.alive || server.stopped) return 'no answer';
  if (server.state === 'starting' || server.stopping !== null) return 'rejecting';
  return 'accepting';
}

function controlOf({ disk, server }: Machine): Known<ControlFile> {
  if (disk.kind === 'empty' || disk.broken === 'clone')
    return { known: false, why: 'there is no data directory' };
  const { control } = disk;
  const state = server.state === 'standby' ? 'in archive recovery' : control.state;
  return {
    known: true,
    value: {
      systemIdentifier: disk.systemIdentifier,
      state,
      timeline: control.timeline,
      checkpointLsn: control.checkpointLsn,
      redoLsn: control.checkpointLsn,
      minRecoveryEndLsn: control.minRecoveryEndLsn,
      minRecoveryEndTimeline: control.minRecoveryEndTimeline,
      dataChecksums: true,
      walLogHints: true,
    },
  };
}

function sqlOf(machine: Machine): Known<SqlFacts> {
  const { server, disk } = machine;
  const serves = server.state === 'standby' || server.state === 'promoting' || server.serves;
  // A stopped postmaster keeps no session from going on: only new ones are refused.
  if (!serves || server.stopped || server.stopping !== null)
    return { known: false, why: server.alive ? '57P03' : 'PostgreSQL does not run' };
  const { inRecovery, replication } = server;
  const { end, timeline } = disk.wal;
  return {
    known: true,
    value: {
      inRecovery,
      serverVersion: 150_020,
      systemIdentifier: disk.systemIdentifier,
      postmasterStartTime: STARTED,
      timeline,
      currentLsn: inRecovery ? null : end,
      receiveLsn: inRecovery ? replication.received : null,
      replayLsn: inRecovery ? end : null,
      replayTimestamp: null,
      replayPaused: false,
      walReceiver: receiverOf(machine),
      walSenders: inRecovery ? [] : server.followers().map(senderOf),
      follows: inRecovery && disk.upstream !== null,
      synchronousStandbyNames: server.commits.names,
      commitsWait: server.commits.wait,
      waitingCommits: [],
      slots: [...disk.slots].map(([name, restartLsn]) => ({
        name,
        type: 'physical' as const,
        active: false,
        restartLsn,
      })),
      pendingRestart: [],
    },
  };
}

/** The upstream's view of a standby that streams from it. */
export function senderOf(follower: Replication): WalSenderFacts {
  return {
    pid: 10_000 + follower.connection,
    applicationName: follower.name,
    userName: 'replicator',
    clientAddress: null,
    state: 'streaming',
    syncState: 'async',
    syncPriority: 0,
    flushLsn: follower.confirmed(),
    slotName: slotName(follower.name),
    startedAt: `${STARTED} ${follower.name} ${String(follower.connection).padStart(6, '0')}`,
  };
}

function receiverOf({ server, disk, name }: Machine): SqlFacts['walReceiver'] {
  const { replication } = server;
  if (server.state !== 'standby' || !replication.streaming || disk.upstream === null) return null;
  return {
    status: 'streaming',
    timeline: disk.wal.timeline,
    host: disk.upstream,
    port: PORT,
    slotName: slotName(name),
    latestEndLsn: disk.wal.end,
  };
}

function walEnd({ server, disk }: Machine, wanted: boolean): PostgresFacts['walEnd'] {
  if (server.alive || server.orphans > 0) return { known: false, why: 'PostgreSQL is not stopped' };
  if (!wanted || disk.kind === 'empty') return { known: false, why: 'not looked for' };
  return { known: true, value: { timeline: disk.wal.timeline, lsn: disk.wal.end } };
}

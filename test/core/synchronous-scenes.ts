/** n1 leads in a synchronous mode, to be bent in one place at a time; and what it does, in one word each. */
import { decide } from '../../src/core/decide.ts';
import type {
  ClusterView,
  Member,
  Observation,
  SqlFacts,
  SyncContent,
  WalSenderFacts,
} from '../../src/core/model.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { StreamingMemory } from '../../src/core/streaming.ts';
import { NO_WAITS } from '../../src/core/unconfirmed.ts';
import * as given from './observations.ts';

export const on: Partial<Settings> = { synchronousMode: 'on' };
export const strict: Partial<Settings> = { ...on, synchronousModeStrict: true };
export const quorum: Partial<Settings> = { synchronousMode: 'quorum' };

export const sender = (name: string, change: Partial<WalSenderFacts> = {}): WalSenderFacts => ({
  pid: 200 + Number(name.replace(/\D/g, '')),
  applicationName: name,
  userName: 'replicator',
  clientAddress: '127.0.0.1',
  state: 'streaming',
  syncState: 'async',
  syncPriority: 0,
  flushLsn: 5000,
  slotName: name,
  startedAt: '2026-11-20 11:00:00',
  ...change,
});

export const named = (
  standbys: readonly string[],
  change: Partial<SyncContent> = {},
): ClusterView['sync'] => ({
  leader: 'n1',
  standbys,
  quorum: 0,
  modRevision: 40,
  ...change,
});

export const members = (...change: readonly Member[]): readonly Member[] => {
  const all = [given.member('n1', { role: 'primary' }), given.member('n2'), given.member('n3')];
  return all.map((one) => change.find(({ name }) => name === one.name) ?? one);
};

export const alive: StreamingMemory = {
  primarySince: given.NOW - 3_600_000,
  inForce: null,
  syncUnsettled: false,
  waitingSince: null,
  standbys: {},
  waits: NO_WAITS,
};
export const inForce = (names: string, lsn = 4000): Partial<StreamingMemory> => ({
  inForce: { names, lsn, ofUser: false },
});
export const seenAgo = (ms: number, ...names: readonly string[]): Partial<StreamingMemory> => ({
  standbys: Object.fromEntries(
    names.map((name) => [
      name,
      { flushLsn: 5000, movedAt: given.NOW - ms, streamingAt: given.NOW - ms },
    ]),
  ),
});

export interface Bent {
  readonly settings?: Partial<Settings>;
  readonly sync?: ClusterView['sync'];
  readonly members?: readonly Member[];
  readonly names?: string;
  readonly senders?: readonly WalSenderFacts[];
  readonly sql?: Partial<SqlFacts>;
  readonly memory?: Partial<StreamingMemory>;
}

/** n1 leads; both others stream unless said otherwise. */
export function leading(bent: Bent): Observation {
  const { names = '', senders = [sender('n2'), sender('n3')] } = bent;
  return given.leader({
    settings: given.settings({ ...on, ...bent.settings }),
    cluster: given.known(
      given.cluster({ sync: bent.sync ?? null, members: bent.members ?? members() }),
    ),
    postgres: given.running(
      given.primarySql({ synchronousStandbyNames: names, walSenders: senders, ...bent.sql }),
    ),
    memory: given.memory({
      lastRole: 'primary',
      historyWrittenFor: 1,
      streaming: { ...alive, ...bent.memory },
    }),
  });
}

/** What is done, in one word each. */
export function done(observation: Observation): readonly string[] {
  return decide(observation).steps.map((step) => {
    switch (step.do) {
      case 'writeSync':
        return step.content === null
          ? 'sync -'
          : `sync ${step.content.leader}:${step.content.standbys.join(',')}/${step.content.quorum}@${step.modRevision}`;
      case 'setSynchronousNames':
        return `names ${step.names ?? 'of the user'}`;
      case 'endSender':
        return `end ${step.pid}`;
      case 'startJob':
        return step.job.kind;
      default:
        return step.do;
    }
  });
}

export interface Case {
  readonly given: string;
  readonly bent: Bent;
  readonly does: readonly string[];
  readonly because: string;
}

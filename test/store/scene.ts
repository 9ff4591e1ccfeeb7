/** Two agents of one cluster, and a third way in for what others do to the keys. */
import { afterEach, beforeEach } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import type { MemberRecord } from '../../src/core/model.ts';
import { ClusterStore } from '../../src/store/cluster.ts';
import type { KeyValue, KeyValueStore } from '../../src/store/keyvalue.ts';
import { decodeMember } from '../../src/store/members.ts';
import type { CampaignResult, Leadership } from '../../src/store/store.ts';
import { CALL, type Subject } from './contract.ts';

export function member(fields: object): MemberRecord {
  return decodeMember(JSON.stringify(fields), () => undefined);
}

/** The leadership of a campaign that has to have been won. */
export function leadershipOf(result: CampaignResult): Leadership {
  if (!result.won) throw new Error(`not won: ${result.why}`);
  return result.leadership;
}

export const STATUS = { optime: 5, slots: {}, retainSlots: [] };
export const MARKER = { leader: 'n1', floorLsn: 99, timeline: 1, candidate: null };

let scopes = 0;

export class Scene {
  readonly base: string;
  readonly one: ClusterStore;
  readonly two: ClusterStore;
  readonly raw: KeyValueStore;

  constructor(subject: Subject, clock: Clock) {
    scopes += 1;
    const scope = `s${scopes}`;
    this.base = `/cluster/${scope}`;
    const options = { namespace: 'cluster', scope, clock, retryTimeoutMs: 5000 };
    this.raw = subject.client();
    this.one = new ClusterStore(subject.client(), options);
    this.two = new ClusterStore(subject.client(), options);
  }

  async put(key: string, value: string): Promise<void> {
    await this.raw.transact([], [{ put: `${this.base}/${key}`, value }], [], CALL);
  }

  async remove(key: string): Promise<void> {
    await this.raw.transact([], [{ delete: `${this.base}/${key}` }], [], CALL);
  }

  async dump(): Promise<readonly KeyValue[]> {
    return (await this.raw.range(`${this.base}/`, CALL)).kvs;
  }

  async lease(store: ClusterStore): Promise<string> {
    return (await store.grantLease(30)).leaseId;
  }

  /** Bootstraps as n1. */
  async lead(): Promise<Leadership> {
    const { one } = this;
    await one.raceInitialize('n1');
    const leaseId = await this.lease(one);
    const config = { ttl: 30 };
    return leadershipOf(await one.finishBootstrap('n1', leaseId, '7710215941031662088', config));
  }

  close(): void {
    for (const store of [this.raw, this.one, this.two]) store.close();
  }
}

/** A new scene for each test of the block that calls this. */
export function sceneForEach(subject: () => Subject, clock: () => Clock): () => Scene {
  let scene: Scene;
  beforeEach(() => {
    scene = new Scene(subject(), clock());
  });
  afterEach(() => scene.close());
  return () => scene;
}

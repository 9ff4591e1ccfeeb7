/** The shortest hand-over, and what it never does (rule F4; field D8, D27, D28, D64, D68). */
import { describe, expect, it } from 'vitest';
import type { Handover, Upstream, UpstreamFacts, WalPoint } from '../src/core/model.ts';
import { type HandoverOptions, handOver } from '../src/handover.ts';
import { Jobs } from '../src/jobs.ts';
import { PostgresError } from '../src/postgres/postgres.ts';
import { StoreUnavailable } from '../src/store/keyvalue.ts';
import * as given from './core/observations.ts';
import { ManualClock } from './store/manual-clock.ts';

const END: WalPoint = { timeline: 1, lsn: 9000 };
const upstream = (name: string): Upstream => ({ name, host: name, port: 5432 });

/** A primary to be stopped, and standbys that hold what the test says. */
class Scene {
  readonly clock = new ManualClock();
  readonly done: string[] = [];
  readonly positions: Record<string, number> = {};
  marker: Omit<Handover, 'modRevision'> | null = null;
  checkpoint: () => Promise<void> = async () => undefined;
  resign: () => Promise<boolean> = async () => true;
  cleanEnd = true;
  /** Gives no answer after the stop. */
  hangs: string | null = null;
  stranger: Partial<UpstreamFacts> = {};
  held: (() => boolean) | undefined;

  run(change: Partial<HandoverOptions> = {}): Promise<string> {
    const postgres = {
      checkpoint: async () => {
        this.done.push('checkpoint');
        await this.checkpoint();
      },
      stop: async (
        mode: string,
        options: {
          becomeStandby: boolean;
          onShutDown?: (end: WalPoint) => void;
          holdSenders?: () => boolean;
        },
      ) => {
        this.done.push(`stop ${mode}${options.becomeStandby ? ', to be a standby' : ''}`);
        this.held = options.holdSenders;
        if (this.cleanEnd) options.onShutDown?.(END);
      },
      askUpstream: async ({ name }: Upstream) => {
        if (name === this.hangs && this.done.length > 1) await new Promise(() => undefined);
        const lsn = this.positions[name];
        if (lsn === undefined) throw new PostgresError('no answer');
        return given.upstream({
          name,
          lsn,
          inRecovery: true,
          timeline: END.timeline,
          ...this.stranger,
        });
      },
    };
    const lease = {
      resign: async (marker: Omit<Handover, 'modRevision'>) => {
        this.done.push('resign');
        this.marker = marker;
        return this.resign();
      },
    };
    return handOver(
      {
        clock: this.clock,
        postgres: postgres as unknown as HandoverOptions['postgres'],
        lease: lease as unknown as HandoverOptions['lease'],
        name: 'n1',
        candidates: [upstream('n2'), upstream('n3')],
        named: null,
        patienceMs: 10_000,
        stopTimeoutMs: 60_000,
        beforeStop: async () => undefined,
        systemIdentifier: given.SYSTEM,
        log: () => undefined,
        ...change,
      },
      () => undefined,
    );
  }

  /** Lets everything that is due happen. */
  async pass(ms: number): Promise<void> {
    for (let gone = 0; gone <= ms; gone += 20) {
      for (let turn = 0; turn < 12; turn += 1)
        await new Promise((resolve) => setImmediate(resolve));
      this.clock.advance(20);
    }
  }
}

describe('a hand-over', () => {
  it('checkpoints while serving, stops, and releases with the end as the floor', async () => {
    const scene = new Scene();
    scene.positions.n2 = END.lsn;
    expect(await scene.run()).toBe('released the lease; n2 holds everything');
    expect(scene.done).toEqual(['checkpoint', 'stop fast, to be a standby', 'resign']);
    expect(scene.marker).toMatchObject({ leader: 'n1', floorLsn: END.lsn, candidate: 'n2' });
  });

  it('D27: names whoever holds the end, not whoever was ahead before the stop', async () => {
    const scene = new Scene();
    scene.positions.n2 = END.lsn - 1;
    scene.positions.n3 = END.lsn;
    await scene.run();
    expect(scene.marker?.candidate).toBe('n3');
  });

  it('D28: keeps the lease when the named candidate misses the end', async () => {
    const scene = new Scene();
    scene.positions.n2 = END.lsn - 1;
    scene.positions.n3 = END.lsn;
    const failed = scene.run({ candidates: [upstream('n2')], named: 'n2' }).catch(String);
    await scene.pass(12_000);
    expect(await failed).toContain('keeping the lease');
    expect(scene.done).not.toContain('resign');
  });

  it('waits for a candidate that is nearly there', async () => {
    const scene = new Scene();
    scene.positions.n2 = END.lsn - 1;
    const work = scene.run();
    await scene.pass(200);
    scene.positions.n2 = END.lsn;
    await scene.pass(200);
    expect(await work).toContain('n2 holds everything');
  });

  it('asks each candidate for itself: one that hangs holds up nobody', async () => {
    const scene = new Scene();
    scene.positions.n3 = END.lsn - 1;
    scene.hangs = 'n2';
    const work = scene.run();
    await scene.pass(200);
    scene.positions.n3 = END.lsn;
    await scene.pass(100);
    expect(scene.done).toContain('resign');
    expect(await work).toContain('n3 holds everything');
  });

  it('D8: has stopped the primary before the store is asked, so its failure leaves none behind', async () => {
    const scene = new Scene();
    scene.positions.n2 = END.lsn;
    scene.resign = () => Promise.reject(new StoreUnavailable('no endpoint answers', true));
    await expect(scene.run()).rejects.toThrow('no endpoint answers');
    expect(scene.done).toEqual(['checkpoint', 'stop fast, to be a standby', 'resign']);
  });

  it('D68: waits for its own checkpoint, whatever another one has come to', async () => {
    const scene = new Scene();
    const waiting: (() => void)[] = [];
    scene.checkpoint = () => new Promise((resolve) => waiting.push(resolve));
    scene.positions.n2 = END.lsn;
    const other = scene.checkpoint();
    const work = scene.run();
    waiting[0]?.();
    await other;
    await scene.pass(100);
    expect(scene.done).toEqual(['checkpoint']);
    waiting[1]?.();
    await scene.pass(100);
    expect(await work).toContain('released');
  });

  it('keeps the lease when no clean end was seen: what it would hand over is not known', async () => {
    const scene = new Scene();
    scene.cleanEnd = false;
    await expect(scene.run()).rejects.toThrow('without a clean shutdown');
    expect(scene.done).not.toContain('resign');
  });

  it('S6: a higher position on another timeline, or of another cluster, holds nothing of ours', async () => {
    for (const stranger of [{ timeline: 7 }, { systemIdentifier: '1' }]) {
      const scene = new Scene();
      scene.positions.n2 = END.lsn + 1000;
      scene.stranger = stranger;
      const failed = scene.run({ candidates: [upstream('n2')] }).catch(String);
      await scene.pass(12_000);
      expect(await failed).toContain('keeping the lease');
    }
  });

  it('F4: leaves the walsenders alone until somebody holds the end', async () => {
    const scene = new Scene();
    const work = scene.run();
    await scene.pass(200);
    expect(scene.held?.()).toBe(true);
    scene.positions.n2 = END.lsn;
    await scene.pass(100);
    await work;
    expect(scene.held?.()).toBe(false);
  });

  it('without any other member releases with the floor', async () => {
    const scene = new Scene();
    await scene.run({ candidates: [] });
    expect(scene.marker).toMatchObject({ floorLsn: END.lsn, candidate: null });
  });
});

describe('jobs', () => {
  it('D64: a second demotion cannot begin while one is in progress', async () => {
    const jobs = new Jobs(new ManualClock(), () => undefined);
    let end: (why: string) => void = () => undefined;
    const begun: string[] = [];
    jobs.begin('handover', 'to n2', () => {
      begun.push('handover');
      return new Promise((resolve) => {
        end = resolve;
      });
    });
    const second = (): void =>
      jobs.begin('stop', 'immediate', async () => {
        begun.push('stop');
        return '';
      });
    expect(second).toThrow('handover is in progress, stop cannot begin');
    end('released');
    await jobs.idle();
    second();
    expect(begun).toEqual(['handover', 'stop']);
  });

  it('tell from when on PostgreSQL refuses clients', () => {
    const clock = new ManualClock();
    const told: (number | undefined)[] = [];
    const jobs = new Jobs(
      clock,
      () => undefined,
      () => told.push(jobs.state?.stoppingSince),
    );
    jobs.begin('restart', 'as primary', async (progress) => {
      progress('checkpoint while serving');
      clock.advance(40);
      progress('stopping');
      return '';
    });
    expect(told).toEqual([1_000_040]);
  });
});

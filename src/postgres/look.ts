/** Everything that can be seen of the local server, in one bounded round (S4). */
import { readdir, readFile, stat } from 'node:fs/promises';
import { TimeoutError, within } from '../clock.ts';
import type {
  DataDirectory,
  Known,
  PostgresFacts,
  PostmasterProcess,
  SqlFacts,
  WalPoint,
} from '../core/model.ts';
import { clientConfig, type LocalTarget, localTarget } from './connect.ts';
import type { ControlData } from './controlfile.ts';
import { exists, isMissing, messageOf } from './disk.ts';
import { DiskProbe, touchDisk } from './diskprobe.ts';
import { FACTS_SQL, parseFacts, type ServerFacts } from './facts.ts';
import { type Knock, knock } from './knock.ts';
import { databaseOf, type Parts, readControl } from './parts.ts';
import { PostgresError } from './postgres.ts';
import { isSilence, sqlState } from './session.ts';
import { overReplication, parseIdentity } from './upstream.ts';
import { findWalEnd } from './walend.ts';

/** For the disk, the server, and pg_controldata, ms. Disk and server are asked at the same time. */
const DISK_MS = 1500;
const SQL_MS = 2300;
const CONTROL_MS = 1000;
/** For reading the WAL since the last checkpoint, ms. */
const WAL_END_MS = 30_000;
const IDENTIFY_MS = 500;
/** For a server to take a connection, ms; and how often it is tried while it does, ms. */
const KNOCK_MS = 2000;
const KNOCK_EVERY_MS = 4000;

/** Why {@link PostmasterProcess} is unknown although the server answers. */
const UNSEEN =
  'a server answers for this data directory, but none of the processes here is its postmaster';

export function unknown<T>(why: string): Known<T> {
  return { known: false, why };
}

interface DiskFacts {
  readonly dataDirectory: DataDirectory;
  readonly standbySignal: boolean;
  readonly postmaster: PostmasterProcess;
  readonly marker: PostgresFacts['interrupted'];
  readonly incarnation: string | null;
}

interface Answer {
  readonly ready: PostgresFacts['ready'];
  readonly facts: Known<ServerFacts>;
  /** How it was silent; null: a sign of life, or none can be expected. */
  readonly silent: string | null;
}

/** Looks at one server; remembers what saves the next look some work. */
export class Looker {
  readonly #parts: Parts;
  #disk: Promise<DiskFacts> | null = null;
  #diskSince: number | null = null;
  readonly #probe: DiskProbe;
  #knockedAt = Number.NEGATIVE_INFINITY;
  #replay: { readonly at: string; readonly timeline: number } | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#probe = new DiskProbe(parts.clock, () => touchDisk(parts.places));
  }

  async look(searchWalEnd: boolean): Promise<PostgresFacts> {
    const [disk, first] = await Promise.all([this.#lookAtDisk(), this.#askServer()]);
    const { instance } = this.#parts;
    const alive = this.#parts.postmaster.current();
    const orphans = disk.postmaster.kind === 'none' ? instance.orphans(alive) : [];
    if (alive !== null) instance.processes(alive);
    const { postmaster, answer } = await this.#confirm(disk.postmaster, first);
    const control = await this.#control(disk, answer);
    const stopped = postmaster.kind === 'none' && orphans.length === 0;
    const silent = postmaster.kind === 'alive' ? answer.silent : null;
    const primary = answer.facts.known && !answer.facts.value.sql.inRecovery;
    const pending = this.#pending();
    if (postmaster.kind === 'alive' && primary) this.#probe.look();
    return {
      dataDirectory: disk.dataDirectory,
      control,
      standbySignal: disk.standbySignal,
      postmaster,
      orphans: orphans.length,
      ready: answer.ready,
      ...(silent === null ? {} : { silent }),
      ...pending,
      sql: answer.facts.known ? { known: true, value: answer.facts.value.sql } : answer.facts,
      interrupted: disk.marker,
      incarnation: disk.incarnation,
      walEnd:
        searchWalEnd && stopped
          ? await this.#walEnd(disk)
          : unknown(stopped ? 'not looked for' : 'PostgreSQL is not stopped'),
    };
  }

  /**
   * Answers although no postmaster is to be seen. The kept session may be with a backend that
   * outlived its postmaster (protocol 0.5), which says nothing of a server that others can reach: a
   * new connection tells. If that gets answers too, the server is where we cannot see processes.
   */
  async #confirm(
    postmaster: PostmasterProcess,
    answer: Answer,
  ): Promise<{ readonly postmaster: PostmasterProcess; readonly answer: Answer }> {
    if (postmaster.kind !== 'none' || !answer.facts.known) return { postmaster, answer };
    this.#parts.session.reset();
    const again = await this.#askServer();
    const found = await this.#parts.postmaster.look();
    if (found.kind !== 'none' || !again.facts.known) return { postmaster: found, answer: again };
    return { postmaster: { kind: 'unknown', why: UNSEEN }, answer: again };
  }

  /** Timeline of a running standby, for reserving the next one. */
  async timeline(): Promise<number | null> {
    const { facts } = await this.#askServer();
    return facts.known ? facts.value.sql.timeline : null;
  }

  /** Whichever has waited for longer. */
  #pending(): Pick<PostgresFacts, 'diskPendingSince'> {
    const began = [this.#diskSince, this.#probe.pendingSince].filter((at) => at !== null);
    return began.length === 0 ? {} : { diskPendingSince: Math.min(...began) };
  }

  /** A hung disk keeps one look waiting, not one more each tick. */
  async #lookAtDisk(): Promise<DiskFacts> {
    this.#diskSince ??= this.#parts.clock.now();
    this.#disk ??= diskFacts(this.#parts).finally(() => {
      this.#disk = null;
      this.#diskSince = null;
    });
    try {
      return await within(this.#parts.clock, DISK_MS, 'data directory', this.#disk);
    } catch (error) {
      const why = messageOf(error);
      const alive = this.#parts.postmaster.current();
      return {
        dataDirectory: { kind: 'unreadable', why },
        standbySignal: false,
        postmaster:
          alive === null ? { kind: 'unknown', why } : { kind: 'alive', adopted: false, ...alive },
        marker: null,
        incarnation: null,
      };
    }
  }

  async #askServer(): Promise<Answer> {
    const { clock } = this.#parts;
    const deadline = clock.now() + SQL_MS;
    const knocked = this.#knock();
    try {
      const facts = await within(clock, SQL_MS, 'PostgreSQL', this.#question(deadline));
      const silent = (await knocked) === 'silent' ? 'it takes no connections' : null;
      return { ready: 'accepting', facts: { known: true, value: facts }, silent };
    } catch (error) {
      const silent = isSilence(error) ? 'it answers nothing' : null;
      return { ready: readiness(error), facts: unknown(messageOf(error)), silent };
    }
  }

  /** Not more often than it may change anything: a connection costs the server a process. */
  async #knock(): Promise<Knock> {
    const { clock, session } = this.#parts;
    if (!session.connected || clock.now() - this.#knockedAt < KNOCK_EVERY_MS) return 'unknown';
    this.#knockedAt = clock.now();
    // The server's socket is named by a file, and a disk that hangs says nothing about the server.
    const target = await within(clock, KNOCK_MS, 'postmaster.pid', this.#target()).catch(
      () => null,
    );
    const heard = target === null ? 'unknown' : await knock(target, clock, KNOCK_MS);
    if (heard === 'silent') this.#knockedAt = Number.NEGATIVE_INFINITY;
    return heard;
  }

  async #target(): Promise<LocalTarget> {
    const { options, places, listen, configuration } = this.#parts;
    const configured = configuration.settings.parameters.unix_socket_directories;
    return await localTarget(places, listen, options.useUnixSocket ?? false, configured);
  }

  async #question(deadline: number): Promise<ServerFacts> {
    const { session, clock } = this.#parts;
    let rows: readonly { readonly facts?: string | null }[];
    try {
      rows = await session.query(FACTS_SQL, deadline - clock.now());
    } catch (error) {
      // A promotion in the middle of the query: the second time is after it.
      if (sqlState(error) !== '55000') throw error;
      rows = await session.query(FACTS_SQL, Math.max(1, deadline - clock.now()));
    }
    const facts = parseFacts(rows[0]?.facts);
    const { sql } = facts;
    if (!sql.inRecovery || sql.walReceiver?.timeline) return facts;
    const timeline = await this.#replayTimeline(sql);
    return timeline === null ? facts : { ...facts, sql: { ...sql, timeline } };
  }

  /**
   * Without a walreceiver only the replication protocol knows the timeline that is replayed;
   * pg_control may be one behind. Asked again only when replay has moved.
   */
  async #replayTimeline(sql: SqlFacts): Promise<number | null> {
    const at = `${sql.postmasterStartTime} ${sql.replayLsn}`;
    if (this.#replay?.at === at) return this.#replay.timeline;
    const { options, clock } = this.#parts;
    try {
      const target = await this.#target();
      const config = clientConfig(target, options.superuser, databaseOf(options), options);
      const row = await overReplication(clock, config, 'database', IDENTIFY_MS, async (query) => {
        return (await query('IDENTIFY_SYSTEM'))[0];
      });
      const { timeline } = parseIdentity(row);
      this.#replay = { at, timeline };
      return timeline;
    } catch {
      // All walsenders in use, say: then pg_control's has to do.
      return null;
    }
  }

  async #control(disk: DiskFacts, answer: Answer): Promise<PostgresFacts['control']> {
    if (answer.facts.known) return { known: true, value: answer.facts.value.control };
    if (disk.dataDirectory.kind !== 'cluster') return unknown('there is no data directory');
    try {
      return { known: true, value: withoutRequired(await this.#readControl()) };
    } catch (error) {
      return unknown(messageOf(error));
    }
  }

  async #readControl(): Promise<ControlData> {
    return await readControl(this.#parts, this.#parts.places.dataDir, CONTROL_MS);
  }

  async #walEnd(disk: DiskFacts): Promise<Known<WalPoint>> {
    if (disk.dataDirectory.kind !== 'cluster') return unknown('there is no data directory');
    const { places, clock, tools } = this.#parts;
    try {
      const control = await this.#readControl();
      const waldump = tools.find('pg_waldump', disk.dataDirectory.majorVersion);
      const point = await findWalEnd({ places, control, waldump, clock, timeoutMs: WAL_END_MS });
      return { known: true, value: point };
    } catch (error) {
      return unknown(messageOf(error));
    }
  }
}

function withoutRequired(control: ControlData): Omit<ControlData, 'required' | 'walSegmentSize'> {
  const { required: _required, walSegmentSize: _size, ...plain } = control;
  return plain;
}

/** Any answer of the server is a sign of life, even "too many clients" (protocol 5.9). */
function readiness(error: unknown): PostgresFacts['ready'] {
  const state = sqlState(error);
  if (state === null || error instanceof TimeoutError || error instanceof PostgresError)
    return 'no answer';
  return state.startsWith('57P') ? 'rejecting' : 'accepting';
}

async function diskFacts(parts: Parts): Promise<DiskFacts> {
  const { places, postmaster, markers } = parts;
  const [directory, standby, recovery, process, marker, incarnation] = await Promise.all([
    lookAtDirectory(places.dataDir),
    exists(places.standbySignal).catch(() => false),
    exists(places.recoverySignal).catch(() => false),
    postmaster.look(),
    markers.read(),
    markers.incarnation(),
  ]);
  parts.instance.learnDirectory(places.dataDir);
  return {
    dataDirectory: directory,
    standbySignal: standby || recovery,
    postmaster: process,
    // A clone beside the data directory has not touched it: it is what it was before.
    marker: marker?.folder === null ? marker.kind : (marker?.replaces ?? null),
    incarnation,
  };
}

export async function lookAtDirectory(path: string): Promise<DataDirectory> {
  try {
    const names = await readdir(path);
    const owner = (await stat(path)).uid;
    const own = process.geteuid?.() ?? owner;
    // PostgreSQL would refuse it as well, but only after a clone was made for it.
    if (owner !== own) {
      return { kind: 'unreadable', why: `${path} belongs to user ${owner}, this is user ${own}` };
    }
    if (names.includes('PG_VERSION') && names.includes('global')) {
      const text = await readFile(`${path}/PG_VERSION`, 'utf8');
      const majorVersion = Number.parseInt(text, 10);
      if (Number.isInteger(majorVersion)) return { kind: 'cluster', majorVersion };
      return { kind: 'foreign', why: `${path}/PG_VERSION holds ${JSON.stringify(text.trim())}` };
    }
    // A fresh file system has this, and nothing else.
    if (names.every((name) => name === 'lost+found')) return { kind: 'empty' };
    return { kind: 'foreign', why: `${path} is not empty and has no PG_VERSION` };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { kind: 'absent' };
    if (isMissing(error)) return { kind: 'foreign', why: `${path} is not a folder` };
    return { kind: 'unreadable', why: messageOf(error) };
  }
}

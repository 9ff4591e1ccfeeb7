/**
 * The seam to the local PostgreSQL: facts out, work in. Owned by the loop; the simulator implements
 * the same interface. Nothing here decides anything about the cluster.
 */
import type { PostgresFacts, Upstream, UpstreamFacts, WalPoint } from '../core/model.ts';
import type { OwnMethod, ToolOptions } from './options.ts';

/** Effective configuration of the server (dynamic over local, as contract 6.1 has it). */
export interface ServerSettings {
  /** `postgresql.parameters`, values as text. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Null: the section is not set, the file stays as it is. */
  readonly pgHba: readonly string[] | null;
  readonly pgIdent: readonly string[] | null;
  /** restore_command, archive_cleanup_command, recovery_min_apply_delay and the like. */
  readonly recoveryConf: Readonly<Record<string, string>>;
  readonly useSlots: boolean;
  /**
   * synchronous_standby_names is the leader's to set, by {@link Postgres.setSynchronousNames}; what
   * `parameters` says of it does not apply.
   */
  readonly synchronous: boolean;
  /** What applies only while the server is a primary, or a standby; absent: the same for both. */
  readonly byRole?: { readonly [R in 'primary' | 'replica']: RoleSettings };
  /** How replicas are made; absent: with pg_basebackup. */
  readonly making?: MakingSettings;
}

/** Laid over the settings for everybody; null: nothing of its own. */
export interface RoleSettings {
  readonly parameters: Readonly<Record<string, string>>;
  readonly pgHba: readonly string[] | null;
  readonly pgIdent: readonly string[] | null;
}

export interface MakingSettings {
  /** In the order in which they are tried. */
  readonly replicaMethods: readonly ('basebackup' | OwnMethod)[];
  readonly basebackup: ToolOptions;
  /** Options for pg_rewind. */
  readonly rewind: ToolOptions;
}

/** What the work reports while it runs; shown to people, never decided on. */
export type Progress = (phase: string) => void;

export interface BootstrapOutcome {
  readonly systemIdentifier: string;
}

export interface Postgres {
  /**
   * One round of questions, bounded to about 2.5 s; what gives no answer is unknown, never absent.
   * Does not reject. `searchWalEnd` asks for the end of the local WAL of a stopped server, which
   * reads WAL from the last checkpoint on.
   */
  observe(ask: { readonly searchWalEnd: boolean }): Promise<PostgresFacts>;

  /**
   * Asks another server who it is: IDENTIFY_SYSTEM, TIMELINE_HISTORY. With `keepMs` the connection is
   * kept for so long, for the next question (F4).
   * @throws PostgresError
   */
  askUpstream(upstream: Upstream, timeoutMs: number, keepMs?: number): Promise<UpstreamFacts>;

  /**
   * Called at once when something happened to the server: its postmaster ended, the kept session
   * closed. A hint to look; never proof.
   */
  onHint(listener: (why: string) => void): void;

  /** New effective configuration: writes the files, reloads a running server when something changed. */
  configure(settings: ServerSettings): Promise<void>;

  /** initdb, configuration, start, users, post_bootstrap. Marks its work as unfinished until it ends. */
  bootstrap(progress: Progress, signal: AbortSignal): Promise<BootstrapOutcome>;

  /**
   * Starts and waits until it accepts connections (standby: consistent recovery) or `timeoutMs` ms
   * are over. Ends orphans first. `primary` removes the standby signal, `standby` writes it.
   * @throws PostgresError the server ended or is not up in time
   */
  start(
    as: 'primary' | 'standby',
    upstream: Upstream | null,
    timeoutMs: number,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<void>;

  /**
   * Stops and waits until every process of the instance is gone.
   * `becomeStandby`: standby.signal is on disk before the signal of a fast stop is sent, or none is
   * sent (rule S8); an immediate stop is for the worst, signals first and writes it if it can.
   * Fast stop: `onShutDown` is called with the end of the shutdown checkpoint record as soon as
   * pg_control says "shut down", before lingering walsenders end; then they are ended, and what else
   * keeps the postmaster (rule F4).
   * @throws PostgresError something is still there, also after SIGKILL; or a fast stop was not begun
   */
  stop(
    mode: 'fast' | 'immediate',
    options: {
      readonly becomeStandby: boolean;
      readonly timeoutMs: number;
      readonly onShutDown?: (end: WalPoint) => void;
      /**
       * Fast stop: while it returns true, walsenders are left to deliver the end of the shutdown,
       * however long the postmaster waits for them; the time-out still ends it.
       */
      readonly holdSenders?: () => boolean;
    },
  ): Promise<void>;

  /** CHECKPOINT while serving. @throws PostgresError on deadline */
  checkpoint(timeoutMs: number): Promise<void>;

  /**
   * Writes stub histories up to `claim` - 1 (rule S6), promotes, waits until it takes writes.
   * `permission` is asked for when all is prepared, just before PostgreSQL is told to; where it
   * rejects, so does this, and nothing was promoted.
   * Returns the timeline that PostgreSQL is on afterwards.
   */
  promote(
    claim: number | null,
    timeoutMs: number,
    permission: () => Promise<void>,
  ): Promise<number>;

  /** Points a running standby at `upstream` (null: nobody) by reload; creates its slot there first if it can. Returns whether anything changed. */
  follow(upstream: Upstream | null): Promise<boolean>;

  /** pg_basebackup into a marked folder, swapped in when complete. The server must be stopped or absent. */
  clone(from: Upstream, progress: Progress, signal: AbortSignal): Promise<void>;

  /** pg_rewind, marked before it begins; then configuration and standby.signal again. The server must be stopped. */
  rewind(from: Upstream, progress: Progress): Promise<void>;

  /** Physical slots on the local server: created, dropped when inactive, advanced. */
  slots(change: {
    readonly create: readonly string[];
    readonly drop: readonly string[];
    readonly advance: Readonly<Record<string, number>>;
  }): Promise<void>;

  /**
   * Sets synchronous_standby_names (null: the user's own value) on the running server, and waits until
   * it is in force for every process of it. Returns the value in force, and the flushed position then
   * (null in recovery): nothing above that is acknowledged under the former value.
   * Nothing else weakens the value on a running primary (rule S2).
   * @throws PostgresError it is not in force in `timeoutMs` ms; it may come into force later
   */
  setSynchronousNames(
    names: string | null,
    timeoutMs: number,
  ): Promise<{ readonly names: string; readonly flushedLsn: number | null }>;

  /** Ends the connection of a standby, if it is still the one that began at `startedAt`. @throws PostgresError */
  endSender(pid: number, startedAt: string): Promise<void>;

  /** Content of `<timeline>.history`, parsed; [] for timeline 1. */
  history(timeline: number): Promise<{
    readonly entries: readonly { timeline: number; switchLsn: number; reason: string }[];
    readonly writtenAt: Date | null;
  }>;

  /** SIGKILL to every process of this instance, orphans included, without waiting for anything (rule S1). Never rejects. */
  killEverything(): { readonly signalled: number };
  /** SIGSTOP to every process of this instance: the first half of {@link killEverything}. */
  freezeEverything(): { readonly signalled: number };
  /** SIGINT (fast) or SIGQUIT (immediate) to the postmaster, without waiting. */
  signalStop(mode: 'fast' | 'immediate'): void;
  /** SIGKILL to processes of this data directory that have no living postmaster; waits until they are gone. */
  killOrphans(timeoutMs: number): Promise<number>;

  /** Closes sessions; leaves the server as it is. */
  close(): Promise<void>;
}

/** PostgreSQL, or a tool of it, failed or gave no answer; the message says what was run and what it said last. */
export class PostgresError extends Error {
  override readonly name = 'PostgresError';
}

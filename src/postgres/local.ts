/** The real side of the seam in postgres.ts: puts the parts of this folder together. */
import { isDeepStrictEqual } from 'node:util';
import type { PostgresFacts, Upstream, UpstreamFacts } from '../core/model.ts';
import { bootstrapServer } from './bootstrap.ts';
import { cloneServer } from './clone.ts';
import { Configuration } from './configuration.ts';
import { dataVersion } from './connect.ts';
import { type ControlData, recoveryTimeline } from './controlfile.ts';
import { messageOf } from './disk.ts';
import { emptyUnused } from './elsewhere.ts';
import { readEncryption } from './encryption.ts';
import { endOrphans, endStrayTools } from './ending.ts';
import { readHistory, removeStubs } from './history.ts';
import { Instance } from './instance.ts';
import { localSession, withOwnSession } from './localsession.ts';
import { Looker } from './look.ts';
import { Markers } from './markers.ts';
import { type LocalPostgresOptions, parseListen, placesOf } from './options.ts';
import { ctlTimeout, databaseOf, type Parts, readControl, wrongVersion } from './parts.ts';
import {
  type BootstrapOutcome,
  type Postgres,
  PostgresError,
  type Progress,
  type ServerSettings,
} from './postgres.ts';
import { Postmaster } from './postmaster.ts';
import { signalProcess } from './proc.ts';
import { promoteServer } from './promote.ts';
import { rewindServer } from './rewind.ts';
import { toolSessions } from './run.ts';
import { startedByService } from './services.ts';
import { changeSlots, type SlotChange } from './slots.ts';
import { ensureOwnSlot, startServer } from './start.ts';
import { type StopRequest, stopServer } from './stop.ts';
import { finishSwap, removeLeftovers } from './swap.ts';
import { endReceiver, endSender, setSynchronousNames } from './synchronous.ts';
import { type ToolName, Tools } from './tools.ts';
import { Upstreams } from './upstreams.ts';

type Users = Pick<LocalPostgresOptions, 'superuser' | 'replication' | 'rewind'>;
type Changeable = { -readonly [K in keyof LocalPostgresOptions]: LocalPostgresOptions[K] };

/** For tools of an earlier agent to end, ms. */
const STRAY_MS = 5000;

export class LocalPostgres implements Postgres {
  readonly #parts: Parts;
  readonly #looker: Looker;
  readonly #listeners: ((why: string) => void)[] = [];
  #tidied: Promise<void> | null = null;
  /** Why a former agent's swap is still not finished, as it was logged. */
  #waiting: string | null = null;
  /** Work that this object does now: not yet an interrupted one. */
  #working = false;

  /** Changed by {@link changeUsers} alone; every part has this very object. */
  readonly #options: Changeable;

  /** @throws RangeError `listen` cannot be read. @throws PostgresError a certificate or key cannot be used */
  constructor(given: LocalPostgresOptions) {
    readUsers(given);
    const options: Changeable = { ...given };
    this.#options = options;
    const places = placesOf(options);
    const listen = parseListen(options.listen);
    const { clock, log } = options;
    const tools = new Tools(options.binDir, options.binNames);
    const instance = new Instance(commandsOf(tools), toolSessions);
    const hint = (why: string): void => {
      for (const listener of this.#listeners) listener(why);
    };
    const postmaster = new Postmaster(places, instance, hint, (pid) => {
      const warning = startedByService(pid);
      if (warning !== null) log('warn', warning);
    });
    const configuration = new Configuration(options, places, listen, tools);
    const session = localSession({ options, places, listen, clock, configuration }, () =>
      hint('the session with PostgreSQL ended'),
    );
    const markers = new Markers(places.stateDir);
    this.#parts = {
      options,
      places,
      listen,
      clock,
      log,
      tools,
      markers,
      instance,
      postmaster,
      session,
      configuration,
      upstreams: new Upstreams({
        clock,
        get replication() {
          return options.replication;
        },
        get superuser() {
          return options.superuser;
        },
        database: databaseOf(options),
      }),
    };
    this.#looker = new Looker(this.#parts);
  }

  /** Names that a process of this server may have. */
  get commands(): readonly string[] {
    return commandsOf(this.#parts.tools);
  }

  /**
   * Other passwords, certificates or names of users, from the next connection on. What a standby is
   * told is written at the next {@link configure}. {@link readUsers} comes first. A superuser whom the
   * running server turns away does not take the place of one who works.
   * @throws PostgresError it is turned away, and why; the others are changed
   */
  async changeUsers({ superuser, replication, rewind }: Users): Promise<void> {
    this.#options.replication = replication;
    if (rewind === undefined) delete this.#options.rewind;
    else this.#options.rewind = rewind;
    const before = this.#options.superuser;
    if (isDeepStrictEqual(before, superuser)) {
      this.#options.superuser = superuser;
      return;
    }
    const worked = this.#parts.session.connected;
    this.#options.superuser = superuser;
    if (!worked) return;
    try {
      await withOwnSession(
        this.#parts,
        '',
        async (session) => await session.query('SELECT 1', 1000),
      );
    } catch (error) {
      this.#options.superuser = before;
      throw new PostgresError(messageOf(error), { cause: error });
    }
  }

  async observe(ask: { readonly searchWalEnd: boolean }): Promise<PostgresFacts> {
    await this.#tidy();
    const facts = await this.#looker.look(ask.searchWalEnd);
    return this.#working ? { ...facts, interrupted: null } : facts;
  }

  /**
   * Programs that are nowhere or do not belong to the data directory, one line each. Asked at start,
   * not when a failover needs them.
   */
  async missingTools(wanted: readonly ToolName[]): Promise<readonly string[]> {
    const version = await dataVersion(this.#parts.places).catch(() => null);
    const missing = this.#parts.tools.missing(wanted, version);
    if (version === null || missing.length > 0) return missing;
    const wrong = await wrongVersion(this.#parts, version);
    return wrong === null ? [] : [wrong];
  }

  async askUpstream(
    upstream: Upstream,
    timeoutMs: number,
    keepMs?: number,
  ): Promise<UpstreamFacts> {
    return await this.#parts.upstreams.ask(upstream, timeoutMs, keepMs);
  }

  onHint(listener: (why: string) => void): void {
    this.#listeners.push(listener);
  }

  async configure(settings: ServerSettings): Promise<void> {
    const { configuration, postmaster } = this.#parts;
    configuration.settings = settings;
    if (this.#working || !(await configuration.writable())) return;
    await postmaster.look();
    const running = postmaster.current();
    // A stopped server's files are written when it starts: only then is its role known.
    if (running === null) return;
    const as = await configuration.current();
    if (as.role === 'standby') await this.#learnRequired();
    if (await configuration.write(as)) signalProcess(running, 'SIGHUP');
  }

  async bootstrap(progress: Progress, signal: AbortSignal): Promise<BootstrapOutcome> {
    await this.#tidy();
    return await this.#work(async () => await bootstrapServer(this.#parts, progress, signal));
  }

  async start(
    as: 'primary' | 'standby',
    upstream: Upstream | null,
    timeoutMs: number,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#refuseUnfinished();
    await startServer(this.#parts, { as, upstream, timeoutMs, progress, signal });
  }

  async stop(mode: 'fast' | 'immediate', options: Omit<StopRequest, 'mode'>): Promise<void> {
    await stopServer(this.#parts, { mode, ...options });
  }

  async checkpoint(timeoutMs: number): Promise<void> {
    // Not on the kept session: it would be blocked for as long, and has a statement_timeout.
    try {
      await withOwnSession(this.#parts, '-c statement_timeout=0', async (session) => {
        await session.query('CHECKPOINT', timeoutMs);
      });
    } catch (error) {
      throw new PostgresError(`checkpoint: ${messageOf(error)}`, { cause: error });
    }
  }

  async promote(
    claim: number | null,
    timeoutMs: number,
    permission: () => Promise<void>,
  ): Promise<number> {
    const { postmaster } = this.#parts;
    const timeline = await promoteServer(
      this.#parts,
      claim,
      async () => await this.#looker.timeline(),
      timeoutMs,
      permission,
    );
    const running = postmaster.current();
    if (running !== null) signalProcess(running, 'SIGHUP');
    return timeline;
  }

  async follow(upstream: Upstream | null): Promise<boolean> {
    const { configuration, postmaster } = this.#parts;
    await postmaster.look();
    const running = postmaster.current();
    if (running === null) throw new PostgresError('follow: PostgreSQL does not run');
    const before = await configuration.current();
    const old = before.role === 'standby' ? before.upstream : null;
    const moved = upstream?.host !== old?.host || upstream?.port !== old?.port;
    if (upstream !== null && moved) await ensureOwnSlot(this.#parts, upstream);
    const control = await this.#learnRequired();
    // Our stub of a number that the upstream has really used would keep its history from being fetched.
    if (moved) await removeStubs(this.#parts.places.wal, recoveryTimeline(control));
    const changed = await configuration.write({ role: 'standby', upstream });
    if (changed) signalProcess(running, 'SIGHUP');
    if (upstream === null) await endReceiver(this.#parts);
    return changed;
  }

  async clone(from: Upstream, progress: Progress, signal: AbortSignal): Promise<void> {
    await this.#tidy();
    await this.#work(async () => await cloneServer(this.#parts, from, progress, signal));
  }

  async rewind(from: Upstream, progress: Progress): Promise<void> {
    await this.#refuseUnfinished();
    await this.#work(async () => await rewindServer(this.#parts, from, progress));
  }

  async slots(change: SlotChange): Promise<void> {
    await changeSlots(this.#parts.session, change);
  }

  async setSynchronousNames(
    names: string | null,
    timeoutMs: number,
  ): ReturnType<Postgres['setSynchronousNames']> {
    return await setSynchronousNames(this.#parts, names, timeoutMs);
  }

  async endSender(pid: number, startedAt: string): Promise<void> {
    await endSender(this.#parts, pid, startedAt);
  }

  async history(timeline: number): ReturnType<Postgres['history']> {
    return await readHistory(this.#parts.places.wal, timeline);
  }

  killEverything(): { readonly signalled: number } {
    return this.#toAll((postmaster) => this.#parts.instance.kill(postmaster));
  }

  freezeEverything(): { readonly signalled: number } {
    return this.#toAll((postmaster) => this.#parts.instance.freeze(postmaster));
  }

  signalStop(mode: 'fast' | 'immediate'): void {
    const running = this.#parts.postmaster.lookNow();
    if (running !== null) signalProcess(running, mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
  }

  async killOrphans(timeoutMs: number): Promise<number> {
    return await endOrphans(this.#parts, timeoutMs);
  }

  async close(): Promise<void> {
    this.#parts.session.close();
    this.#parts.upstreams.close();
  }

  #toAll(send: (postmaster: ReturnType<Postmaster['lookNow']>) => number): {
    readonly signalled: number;
  } {
    try {
      return { signalled: send(this.#parts.postmaster.lookNow()) };
    } catch (error) {
      this.#parts.log('error', `cannot signal the processes of PostgreSQL: ${messageOf(error)}`);
      return { signalled: 0 };
    }
  }

  async #work<T>(work: () => Promise<T>): Promise<T> {
    if (this.#working) throw new PostgresError('other work on the data directory is in progress');
    this.#working = true;
    try {
      return await work();
    } finally {
      this.#working = false;
    }
  }

  /** A directory that a clone or rewind left in pieces is not started (S7, field D48). */
  async #refuseUnfinished(): Promise<void> {
    await this.#tidy();
    const marker = await this.#parts.markers.read();
    // A copy that only has to be put in place makes what is there now the past: nobody writes to it.
    if (marker === null) return;
    const beside = marker.folder !== null && !marker.swapping;
    const kind = beside ? marker.replaces : marker.kind;
    if (kind === null) return;
    throw new PostgresError(`a ${kind} was begun at ${marker.startedAt} and never finished`);
  }

  async #learnRequired(): Promise<ControlData> {
    const { configuration, places, options } = this.#parts;
    const control = await readControl(this.#parts, places.dataDir, ctlTimeout(options));
    configuration.required = control.required;
    return control;
  }

  /** Once: finishes or clears away what a former agent left of a clone beside the data directory. */
  async #tidy(): Promise<void> {
    if (this.#working) return;
    this.#tidied ??= this.#clearAway().catch((error: unknown) => {
      this.#tidied = null;
      const why = messageOf(error);
      if (why !== this.#waiting) {
        this.#parts.log('error', `leftovers of an earlier clone: ${why}`);
      }
      this.#waiting = why;
    });
    await this.#tidied;
  }

  /** @throws PostgresError it cannot be done now; nothing was touched, and it is tried again */
  async #clearAway(): Promise<void> {
    const { markers, places, log, postmaster } = this.#parts;
    const marker = await markers.read();
    if (marker !== null) {
      const ended = await endStrayTools(this.#parts, STRAY_MS);
      if (ended > 0) log('info', `ended ${ended} processes of an unfinished ${marker.kind}`);
    }
    if (marker?.kind === 'clone' && marker.folder !== null) {
      if (marker.swapping) {
        // Somebody may have started the old directory: it is not taken from under a server.
        const found = await postmaster.look();
        if (found.kind !== 'none') {
          const why = found.kind === 'alive' ? `PostgreSQL runs as ${found.pid}` : found.why;
          throw new PostgresError(`the one of ${marker.startedAt} is not put in place: ${why}`);
        }
        log('info', `putting the finished clone of ${marker.startedAt} in place`);
        await finishSwap(places, markers, marker);
      } else {
        log(
          'info',
          `a clone begun at ${marker.startedAt} was not finished; the data directory is as it was`,
        );
        await emptyUnused(marker.elsewhere ?? [], places.dataDir);
        await markers.abandon(marker);
      }
    }
    // May take minutes, and nothing waits for it.
    removeLeftovers(places, null, log).catch((error: unknown) => log('warn', messageOf(error)));
  }
}

/** Reads the certificates that are named. @throws PostgresError one of them cannot be used */
export function readUsers({ superuser, replication, rewind }: Users): void {
  const section = 'postgresql.authentication';
  readEncryption(`${section}.superuser`, superuser);
  readEncryption(`${section}.replication`, replication);
  if (rewind !== undefined) readEncryption(`${section}.rewind`, rewind);
}

function commandsOf(tools: Tools): readonly string[] {
  return ['postgres', 'postmaster', tools.nameOf('postgres')];
}

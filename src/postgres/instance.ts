/**
 * Every process of one PostgreSQL instance, its orphans included, and how to stop them for good.
 * A backend outlives its postmaster's `kill -9` and goes on acknowledging commits (protocol 0.5),
 * so "the postmaster is gone" says nothing. Synchronous: it runs against the lease's deadline (S1).
 */
import {
  allProcesses,
  type DirectoryKey,
  directoryKey,
  type ProcessEntry,
  type ProcessIdentity,
  processTitle,
  readProcess,
  signalProcess,
  workingDirectory,
} from './proc.ts';

/** Looks at a SIGSTOPped postmaster until it stands still, so that no fork is under way. */
const STOP_LOOKS = 200;

export class Instance {
  /** Inodes that the data directory has had: a swapped-out one still has its processes. */
  readonly #directories = new Set<DirectoryKey>();
  /** Processes once seen in the live tree, by pid: parentage is lost when the postmaster dies. */
  readonly #seen = new Map<number, number>();
  readonly #commands: ReadonlySet<string>;
  readonly #toolSessions: () => ReadonlySet<number>;

  /**
   * @param commands names of the server's executable
   * @param toolSessions sessions of tools that we run now: pg_rewind starts a server of its own
   */
  constructor(commands: readonly string[], toolSessions: () => ReadonlySet<number>) {
    this.#commands = new Set(commands.map((name) => name.slice(0, 15)));
    this.#toolSessions = toolSessions;
  }

  /** Learns the data directory's inode. Touches the disk, so not called while stopping everything. */
  learnDirectory(path: string): void {
    const key = directoryKey(path);
    if (key !== null) this.#directories.add(key);
  }

  livesHere(pid: number): boolean {
    const key = workingDirectory(pid);
    return key !== null && this.#directories.has(key);
  }

  isServerCommand(entry: ProcessEntry): boolean {
    return this.#commands.has(entry.command);
  }

  /** All processes, the postmaster's tree and everything that lives in the data directory. */
  processes(postmaster: ProcessIdentity | null): ProcessEntry[] {
    const everybody = allProcesses();
    const childrenOf = new Map<number, ProcessEntry[]>();
    for (const entry of everybody) {
      const siblings = childrenOf.get(entry.parent);
      if (siblings === undefined) childrenOf.set(entry.parent, [entry]);
      else siblings.push(entry);
    }
    const tools = this.#toolSessions();
    const members = new Map<number, ProcessEntry>();
    const add = (entry: ProcessEntry): void => {
      if (members.has(entry.pid)) return;
      members.set(entry.pid, entry);
      for (const child of childrenOf.get(entry.pid) ?? []) add(child);
    };
    for (const entry of everybody) {
      if (tools.has(entry.session)) continue;
      const isPostmaster =
        entry.pid === postmaster?.pid && entry.startTicks === postmaster.startTicks;
      const seen = this.#seen.get(entry.pid) === entry.startTicks;
      if (isPostmaster || seen || (this.isServerCommand(entry) && this.livesHere(entry.pid))) {
        add(entry);
      }
    }
    this.#seen.clear();
    for (const entry of members.values()) this.#seen.set(entry.pid, entry.startTicks);
    return [...members.values()];
  }

  /** Processes that have no living postmaster. */
  orphans(postmaster: ProcessIdentity | null): ProcessEntry[] {
    return postmaster === null ? this.processes(null) : [];
  }

  /** A server here that has server children: only a postmaster forks servers. Null: none. */
  findPostmaster(): ProcessIdentity | null {
    const servers = this.processes(null).filter((entry) => this.isServerCommand(entry));
    const parents = new Set(servers.map((entry) => entry.parent));
    const found = servers.find(
      (entry) => parents.has(entry.pid) && !servers.some((other) => other.pid === entry.parent),
    );
    return found === undefined ? null : { pid: found.pid, startTicks: found.startTicks };
  }

  walSenders(postmaster: ProcessIdentity): ProcessEntry[] {
    return this.processes(postmaster).filter(
      (entry) =>
        entry.parent === postmaster.pid &&
        /^postgres: (?:.*: )?walsender /.test(processTitle(entry.pid)),
    );
  }

  /** SIGSTOP to all, the postmaster first, so that it forks no more. Returns how many got it. */
  freeze(postmaster: ProcessIdentity | null): number {
    let signalled = 0;
    if (postmaster !== null && signalProcess(postmaster, 'SIGSTOP')) {
      signalled++;
      for (let look = 0; look < STOP_LOOKS; look++) {
        const state = readProcess(postmaster.pid)?.state;
        if (state === undefined || state === 'T' || state === 't') break;
      }
    }
    for (const entry of this.processes(postmaster)) {
      if (entry.pid === postmaster?.pid) continue;
      if (signalProcess(entry, 'SIGSTOP')) signalled++;
    }
    return signalled;
  }

  /** SIGKILL pending on all: none of them runs user code again. Returns how many got it. */
  kill(postmaster: ProcessIdentity | null): number {
    this.freeze(postmaster);
    let signalled = 0;
    for (const entry of this.processes(postmaster)) {
      if (signalProcess(entry, 'SIGKILL')) signalled++;
    }
    return signalled;
  }
}

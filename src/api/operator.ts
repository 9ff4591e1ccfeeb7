/** What requests that change something need of the agent. The composition root gives it to the API. */
import type { Clock } from '../clock.ts';
import type {
  ClusterView,
  LocalRequest,
  PeerFacts,
  RequestAnswer,
  ScheduledRestart,
} from '../core/model.ts';
import type { Snapshot } from '../status.ts';
import type { Store } from '../store/store.ts';

type Without<T> = T extends unknown ? Omit<T, 'id'> : never;

/** Where requests for this node alone are left. */
export interface RequestDesk {
  readonly scheduled: ScheduledRestart | null;
  /** Resolves with what became of it; `signal` ends the waiting. */
  submit(ask: Without<LocalRequest>, signal: AbortSignal): Promise<RequestAnswer>;
  /** False when there is one already. */
  schedule(plan: ScheduledRestart): boolean;
  /** False when there was none. */
  unschedule(): boolean;
}

/** Who may change something (`restapi.authentication`, `restapi.allowlist`). */
export interface Access {
  /** Null: nobody is asked for a password. */
  readonly credentials: { readonly username: string; readonly password: string } | null;
  /** Addresses and networks; null: every address may. */
  readonly allowlist: readonly string[] | null;
  /** Members' addresses too. */
  readonly includeMembers: boolean;
  /** Whoever changes something has to show a certificate (`restapi.verify_client`). */
  readonly clientCertificates: boolean;
}

export interface Operator {
  readonly clock: Clock;
  readonly store: Pick<Store, 'read' | 'writeFailover' | 'deleteFailover' | 'replaceConfig'>;
  readonly peers: {
    ask(
      members: readonly { readonly name: string; readonly apiUrl: string | null }[],
      timeoutMs: number,
    ): Promise<PeerFacts[]>;
  };
  readonly requests: RequestDesk;
  readonly snapshot: () => Snapshot;
  /** Calls back whenever the store or this node may have changed; the returned function ends that. */
  readonly onChange: (listener: () => void) => () => void;
  /** Makes the loop look again. */
  readonly hint: (why: string) => void;
  /** One line for each value of a new `/config` that cannot be used. */
  readonly checkConfig: (
    before: Readonly<Record<string, unknown>>,
    after: Readonly<Record<string, unknown>>,
    cluster: ClusterView,
  ) => readonly string[];
  /**
   * A leader asks to go on without the store. Null: this member has agreed; else what to say.
   * @throws when the promise cannot be written down
   */
  readonly agree: (request: {
    readonly leader: string;
    readonly ttlMs: number | null;
    readonly slots: Readonly<Record<string, number>>;
  }) => Promise<{ readonly status: number; readonly text: string } | null>;
  /** As SIGHUP. */
  readonly reload: () => void;
  readonly access: () => Access;
}

/** What is sent back. */
export interface Reply {
  readonly status: number;
  /** Plain text, or JSON when it is an object. */
  readonly body: string | Readonly<Record<string, unknown>>;
  /** What Patroni does not say stands beside its words, in headers. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The reason, where the words of the contract have no room for it. Header values are ASCII. */
export function reply(status: number, body: Reply['body'], why: string | null = null): Reply {
  if (why === null || why === '') return { status, body };
  const plain = why.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 2000);
  return { status, body, headers: { 'tenure-why': plain } };
}

/** What an operator asks of this node alone, over its own REST API (contract 3.6, 5.19). Terms: model.ts. */

/** Conditions of a restart; one that is null is no condition. */
export interface RestartFilter {
  readonly role: 'primary' | 'standby_leader' | 'replica' | null;
  /** Only a server that is older than this, as in `server_version_num`. */
  readonly olderThan: number | null;
  /** Only a server with settings that wait for a restart. */
  readonly pendingOnly: boolean;
}

export interface RestartRequest {
  readonly do: 'restart';
  readonly id: number;
  readonly filter: RestartFilter;
  /** For the server to come back, ms; null: primary_start_timeout. */
  readonly timeoutMs: number | null;
}

export interface ReinitializeRequest {
  readonly do: 'reinitialize';
  readonly id: number;
  /** Cancels work in progress that can be cancelled. */
  readonly force: boolean;
  /** From the leader, even where another member has the clonefrom tag. */
  readonly fromLeader: boolean;
}

export type LocalRequest = RestartRequest | ReinitializeRequest;

/** What a request came to: a status and words of contract 3.6, and the reason in ours. */
export interface RequestAnswer {
  readonly status: number;
  readonly text: string;
  readonly why: string | null;
}

/** A restart at a time of day. It is for the server that ran when it was asked for, and no other. */
export interface ScheduledRestart {
  readonly filter: RestartFilter;
  readonly timeoutMs: number | null;
  /** As asked for, ISO 8601 with a zone. */
  readonly at: string;
  /** As PostgreSQL says it; null: it was not known. */
  readonly postmasterStartTime: string | null;
}

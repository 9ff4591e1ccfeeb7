/** What is looked for in the logs: the events that an outage, a bootstrap or a return is made of. */
import type { Who } from './measurement.ts';

export interface Milestone {
  readonly who: Who;
  readonly what: string;
  readonly pattern: RegExp;
  /** Only after this has been logged. */
  readonly after?: RegExp;
}

/** PostgreSQL's own lines are the same under every daemon; the daemons' are told apart by their words. */
export const MILESTONES: readonly Milestone[] = [
  // The side that gives away.
  {
    who: 'old leader',
    what: 'daemon: has the request',
    pattern: /hand-over\.requested|leave\.hand-over|received switchover request/i,
  },
  {
    who: 'old leader',
    what: 'PostgreSQL: checkpoint while serving is done',
    pattern: /checkpoint complete/,
    after: /checkpoint starting: (?!shutdown).*(force|immediate)/,
  },
  {
    who: 'old leader',
    what: 'daemon: stops PostgreSQL',
    pattern: /handover .* in progress: stopping|demoting self/i,
  },
  {
    who: 'old leader',
    what: 'PostgreSQL: told to stop',
    pattern: /received fast shutdown request/,
  },
  { who: 'old leader', what: 'PostgreSQL: sessions are ended', pattern: /LOG:\s+shutting down/ },
  {
    who: 'old leader',
    what: 'PostgreSQL: shutdown checkpoint begins',
    pattern: /checkpoint starting: shutdown/,
  },
  {
    who: 'old leader',
    what: 'PostgreSQL: shutdown checkpoint is done',
    pattern: /checkpoint complete/,
    after: /checkpoint starting: shutdown/,
  },
  {
    who: 'old leader',
    what: 'daemon: waits for the candidate to hold the end',
    pattern: /in progress: waiting for a candidate/,
  },
  {
    who: 'old leader',
    what: 'PostgreSQL: is shut down',
    pattern: /database system is shut down/,
  },
  {
    who: 'old leader',
    what: 'daemon: the lease is released',
    pattern: /released the lease|leader key released/i,
  },
  // A crash that is answered in place, and a killed node that comes back.
  {
    who: 'old leader',
    what: 'daemon: starts',
    pattern: /Tenure .*, process \d+|Selected new etcd/,
  },
  {
    who: 'old leader',
    what: 'PostgreSQL: sessions notice the crash',
    pattern: /unexpected postmaster exit/,
  },
  {
    who: 'old leader',
    what: 'daemon: decides to start PostgreSQL',
    pattern:
      /\[lead\.(?!steady)|\[follow\.(?!steady)|starting primary after failure|starting as a (readonly|secondary)/,
  },
  {
    who: 'old leader',
    what: 'daemon: rewinds',
    pattern: /rewind .* in progress|running pg_rewind/,
  },
  { who: 'old leader', what: 'daemon: has rewound', pattern: /rewound to|pg_rewind exit code=0/ },
  { who: 'old leader', what: 'PostgreSQL: starts', pattern: /LOG:\s+starting PostgreSQL/ },
  { who: 'old leader', what: 'PostgreSQL: recovery begins', pattern: /redo starts at/ },
  {
    who: 'old leader',
    what: 'PostgreSQL: takes connections',
    pattern: /ready to accept (read-only )?connections/,
  },
  { who: 'old leader', what: 'PostgreSQL: streams', pattern: /started streaming WAL/ },
  {
    who: 'old leader',
    what: 'daemon: PostgreSQL is up',
    pattern: /PostgreSQL is up as|establishing a new patroni connection/,
  },
  // The side that takes over.
  {
    who: 'new leader',
    what: 'PostgreSQL: replication has ended',
    pattern: /replication terminated by primary|could not receive data from WAL stream/,
  },
  {
    who: 'new leader',
    what: 'daemon: asks the other members',
    pattern: /got response from/i,
  },
  {
    who: 'new leader',
    what: 'daemon: takes the lease',
    pattern: /taking the lease with timeline|promoted self to leader by acquiring/,
  },
  {
    who: 'new leader',
    what: 'daemon: the promotion is recorded',
    pattern: /promote to timeline \d+ in progress/,
  },
  { who: 'new leader', what: 'PostgreSQL: told to promote', pattern: /received promote request/ },
  {
    who: 'new leader',
    what: 'PostgreSQL: new timeline chosen',
    pattern: /selected new timeline ID/,
  },
  {
    who: 'new leader',
    what: 'PostgreSQL: recovery is complete',
    pattern: /archive recovery complete/,
  },
  {
    who: 'new leader',
    what: 'PostgreSQL: takes writes',
    pattern: /ready to accept connections/,
    after: /selected new timeline ID|database system was shut down/,
  },
  {
    who: 'new leader',
    what: 'daemon: knows that it takes writes',
    pattern: /promote to timeline \d+: promoted|cleared rewind state after becoming the leader/,
  },
  // Bootstrap.
  {
    who: 'new leader',
    what: 'daemon: starts',
    pattern: /Tenure .*, process \d+|Selected new etcd/,
  },
  {
    who: 'new leader',
    what: 'daemon: has the initialize key',
    pattern: /bootstrap {2}in progress|trying to bootstrap a new cluster/,
  },
  { who: 'new leader', what: 'initdb: begins', pattern: /in progress: initdb|files belonging to/ },
  { who: 'new leader', what: 'PostgreSQL: starts', pattern: /LOG:\s+starting PostgreSQL/ },
  {
    who: 'new leader',
    what: 'daemon: bootstrapped',
    pattern: /initialized with system identifier|initialized a new cluster/,
  },
  {
    who: 'other',
    what: 'daemon: clones',
    pattern: /\[join\.clone\]|trying to bootstrap from leader/,
  },
  { who: 'other', what: 'daemon: cloned', pattern: /replica has been created/ },
  { who: 'other', what: 'PostgreSQL: starts', pattern: /LOG:\s+starting PostgreSQL/ },
  { who: 'other', what: 'PostgreSQL: streams', pattern: /started streaming WAL/ },
];

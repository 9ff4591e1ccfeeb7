/** Our own metrics, `tenure_*`, and three of the process under the names that everybody uses. */
import { OUTCOMES, PHASES, REQUEST_KINDS } from '../measures.ts';
import type { Snapshot } from '../status.ts';
import { TENURE_VERSION } from '../version.ts';
import { type Metric, number, type Sample, times } from './exposition.ts';

const GUARD_STATES = ['off', 'missing', 'disarmed', 'armed', 'fired'] as const;
const WATCHDOG_STATES = ['off', 'idle', 'active', 'failed'] as const;

export const OWN_METRICS: readonly Metric<Snapshot>[] = [
  {
    name: 'tenure_info',
    type: 'gauge',
    help: 'Always 1; the label says the version of Tenure.',
    samples: () => [{ labels: { version: TENURE_VERSION }, value: 1 }],
  },
  {
    name: 'tenure_lease_remaining_seconds',
    type: 'gauge',
    help: 'Time for which leadership is still proven; only on the holder of the leader key.',
    samples: ({ leaderDeadline, now }) =>
      number(leaderDeadline === null ? null : Math.max(0, leaderDeadline - now) / 1000),
  },
  {
    name: 'tenure_lease_renewal_seconds',
    type: 'histogram',
    help: 'From sending a renewal of the leader key to its proof.',
    samples: ({ measures }) => times(measures.renewals),
  },
  {
    name: 'tenure_lease_renewals_missed_total',
    type: 'counter',
    help: 'Renewals of the leader key that failed or could not be proven.',
    samples: ({ measures }) => number(measures.renewalsMissed),
  },
  {
    name: 'tenure_tick_seconds',
    type: 'histogram',
    help: 'One turn of the loop: look, decide, act, publish.',
    samples: ({ measures }) => times(measures.ticks),
  },
  {
    name: 'tenure_tick_overdue_seconds',
    type: 'gauge',
    help: 'How long the next turn of the loop has been due.',
    samples: ({ nextTickDue, now }) => number(Math.max(0, now - nextTickDue) / 1000),
  },
  {
    name: 'tenure_decision_seconds',
    type: 'histogram',
    help: 'Deciding alone.',
    samples: ({ measures }) => times(measures.decisions),
  },
  {
    name: 'tenure_rule',
    type: 'gauge',
    help: 'Always 1; the label names the rule of the latest decision.',
    samples: ({ decision }) =>
      decision === null ? [] : [{ labels: { rule: decision.rule }, value: 1 }],
  },
  {
    name: 'tenure_failover_phase_seconds',
    type: 'histogram',
    help: 'What failovers were made of, on the node that did it; see docs/metrics.md for the phases.',
    samples: ({ measures }) => PHASES.flatMap((phase) => times(measures.phases[phase], { phase })),
  },
  {
    name: 'tenure_jobs_total',
    type: 'counter',
    help: 'Work on PostgreSQL that has ended, by kind and outcome.',
    samples: ({ measures }) =>
      [...measures.jobs].flatMap(([job, { ok, failed }]): Sample[] => [
        { labels: { job, outcome: 'ok' }, value: ok },
        { labels: { job, outcome: 'failed' }, value: failed },
      ]),
  },
  {
    name: 'tenure_guard_state',
    type: 'gauge',
    help: '1 for the state that the guard process is in, 0 for the others.',
    samples: ({ guard }) =>
      GUARD_STATES.map((state) => ({ labels: { state }, value: guard.state === state ? 1 : 0 })),
  },
  {
    name: 'tenure_watchdog_state',
    type: 'gauge',
    help: '1 for the state of the hardware watchdog, 0 for the others.',
    samples: ({ watchdog }) =>
      WATCHDOG_STATES.map((state) => ({
        labels: { state },
        value: watchdog.state === state ? 1 : 0,
      })),
  },
  {
    name: 'tenure_unconfirmed_commits',
    type: 'gauge',
    help: 'Commits that ceased to wait for standbys before one had confirmed them: a failover may lose them.',
    samples: ({ cluster }) => number(cluster === null ? null : (cluster.unconfirmed?.count ?? 0)),
  },
  {
    name: 'tenure_etcd_requests_total',
    type: 'counter',
    help: 'Requests to etcd, by kind (harmless: of leases) and outcome.',
    samples: ({ measures }) =>
      REQUEST_KINDS.flatMap((kind) =>
        OUTCOMES.map((outcome) => ({
          labels: { kind, outcome },
          value: measures.requests[kind][outcome],
        })),
      ),
  },
  {
    name: 'tenure_etcd_request_seconds',
    type: 'histogram',
    help: 'Requests to etcd, all endpoints that were tried together.',
    samples: ({ measures }) =>
      REQUEST_KINDS.flatMap((kind) => times(measures.requestTimes[kind], { kind })),
  },
  {
    name: 'tenure_event_loop_delay_seconds',
    type: 'histogram',
    help: 'By how much timers of the daemon were late.',
    samples: ({ measures }) => times(measures.lateness),
  },
  {
    name: 'tenure_child_processes',
    type: 'gauge',
    help: 'Tools and scripts that run now; neither PostgreSQL nor the guard.',
    samples: ({ measures }) => number(measures.children().running),
  },
  {
    name: 'tenure_child_processes_started_total',
    type: 'counter',
    help: 'Tools and scripts that were started.',
    samples: ({ measures }) => number(measures.children().started),
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    help: 'Memory of the daemon.',
    samples: () => number(process.memoryUsage.rss()),
  },
  {
    name: 'process_cpu_seconds_total',
    type: 'counter',
    help: 'Processor time of the daemon.',
    samples: () => {
      const { user, system } = process.cpuUsage();
      return number((user + system) / 1e6);
    },
  },
  {
    name: 'process_start_time_seconds',
    type: 'gauge',
    help: 'When the daemon was started, seconds since the epoch.',
    samples: () => number(Math.round(performance.timeOrigin) / 1000),
  },
];

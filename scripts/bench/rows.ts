/** The rows of the table: what is measured, in which unit, and what this project aims at. */

export const ROW_IDS = [
  'switchover',
  'switchover-load',
  'sigterm',
  'postmaster',
  'death',
  'death-lowest',
  'return',
  'bootstrap',
  'health',
  'idle-cpu',
  'idle-memory',
  'idle-children',
  'etcd-requests',
] as const;

export type RowId = (typeof ROW_IDS)[number];

export type Unit = 's' | '1/s' | '%' | 'MB' | '1/min';

export interface Row {
  readonly id: RowId;
  readonly title: string;
  readonly unit: Unit;
  /** In the row's unit. */
  readonly target: { readonly median?: number; readonly max?: number };
  readonly better: 'lower' | 'higher';
  /** Faults: acknowledged rows that are lost are counted. */
  readonly losesRows: boolean;
}

const fault = { unit: 's', better: 'lower', losesRows: true } as const;
const idle = { better: 'lower', losesRows: false } as const;

export const ROWS: readonly Row[] = [
  { id: 'switchover', title: 'switchover, idle', target: { median: 0.35 }, ...fault },
  {
    id: 'switchover-load',
    title: 'switchover under `pgbench -c 32`',
    target: { median: 0.6 },
    ...fault,
  },
  { id: 'sigterm', title: "SIGTERM of the leader's daemon", target: { median: 0.35 }, ...fault },
  {
    id: 'postmaster',
    title: 'kill -9 of the postmaster, daemon alive',
    target: { median: 0.5 },
    ...fault,
  },
  {
    id: 'death',
    title: 'node death at ttl 30, after last renewal + ttl',
    target: { median: 0.5, max: 0.9 },
    ...fault,
  },
  {
    id: 'death-lowest',
    title: 'node death at the lowest settings',
    target: { median: 3.9 },
    ...fault,
  },
  {
    id: 'return',
    title: 'killed node started again, until it streams',
    target: { median: 1.2 },
    ...fault,
    losesRows: false,
  },
  {
    id: 'bootstrap',
    title: 'bootstrap, from nothing to three streaming nodes',
    target: { median: 3.5 },
    ...fault,
    losesRows: false,
  },
  {
    id: 'health',
    title: 'health checks, 8 connections, `GET /primary`',
    unit: '1/s',
    target: { median: 25_000 },
    better: 'higher',
    losesRows: false,
  },
  {
    id: 'idle-cpu',
    title: 'idle leader: CPU at loop_wait 10',
    unit: '%',
    target: { median: 0.8 },
    ...idle,
  },
  {
    id: 'idle-memory',
    title: 'idle leader: memory (RSS)',
    unit: 'MB',
    target: { median: 100 },
    ...idle,
  },
  {
    id: 'idle-children',
    title: 'idle leader: child processes',
    unit: '1/min',
    target: {},
    ...idle,
  },
  {
    id: 'etcd-requests',
    title: 'requests to etcd per node, idle, ttl 30',
    unit: '1/min',
    target: { median: 20 },
    ...idle,
  },
];

export function rowOf(id: RowId): Row {
  const found = ROWS.find((row) => row.id === id);
  if (found === undefined) throw new Error(`no row ${id}`);
  return found;
}

/** Questions to another server over the replication protocol: who it is, what it has (C-5.14). */
import type { Client, ClientConfig } from 'pg';
import { type Clock, within } from '../clock.ts';
import { parseLsn } from '../core/lsn.ts';
import type { Upstream, UpstreamFacts } from '../core/model.ts';
import { clientConfig } from './connect.ts';
import { parseHistory } from './history.ts';
import type { Credentials } from './options.ts';
import { PostgresError } from './postgres.ts';
import { type Destination, Dial, newClient, type Row, refusalOf, sqlState } from './session.ts';

/** pg knows this option, its types do not. */
type ReplicationConfig = ClientConfig & { readonly replication: 'true' | 'database' };

type Query = (command: string) => Promise<Row[]>;

/**
 * Connects for replication, does `work`, disconnects; all of it within `timeoutMs`.
 * @throws PostgresError
 */
export async function overReplication<T>(
  clock: Clock,
  config: Destination,
  kind: 'true' | 'database',
  timeoutMs: number,
  work: (query: Query) => Promise<T>,
): Promise<T> {
  const dial = replicationDial(kind, timeoutMs);
  try {
    const conversation = async (): Promise<T> => await work(queryOn(await dial.connect(config)));
    return await within(clock, timeoutMs, 'replication connection', conversation());
  } catch (error) {
    throw new PostgresError(refusalOf(config, error), { cause: error });
  } finally {
    dial.abandon();
  }
}

export function replicationDial(kind: 'true' | 'database', connectTimeoutMs: number): Dial {
  return new Dial(({ options: _settings, ...plain }) => {
    const replication: ReplicationConfig = { ...plain, replication: kind };
    return newClient(replication, connectTimeoutMs, () => undefined);
  });
}

export function queryOn(client: Client): Query {
  return async (command) => (await client.query<Record<string, string | null>>(command)).rows;
}

export interface Identified {
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** Primary: flushed. Standby: replayed. Bytes. */
  readonly lsn: number;
}

/** @throws PostgresError the answer is not IDENTIFY_SYSTEM's */
export function parseIdentity(row: Row | undefined): Identified {
  const { systemid, timeline, xlogpos } = row ?? {};
  if (!systemid || !timeline || !xlogpos) throw new PostgresError('IDENTIFY_SYSTEM: empty answer');
  return { systemIdentifier: systemid, timeline: Number(timeline), lsn: parseLsn(xlogpos) };
}

/** Who asks, and as whom. */
export interface Asker {
  readonly clock: Clock;
  readonly replication: Credentials;
  readonly superuser: Credentials;
  readonly database: string;
}

/**
 * IDENTIFY_SYSTEM, TIMELINE_HISTORY, and whether it is in recovery.
 * @param converse how the questions reach it: over a connection of their own, unless one is kept
 * @throws PostgresError no answer in `timeoutMs`, or one that makes no sense
 */
export async function askUpstream(
  asker: Asker,
  upstream: Upstream,
  timeoutMs: number,
  converse: <T>(work: (query: Query) => Promise<T>) => Promise<T> = (work) =>
    overReplication(
      asker.clock,
      clientConfig(upstream, asker.replication, asker.database),
      'true',
      timeoutMs,
      work,
    ),
): Promise<UpstreamFacts> {
  const { clock, superuser, database } = asker;
  const deadline = clock.now() + timeoutMs;
  const answer = await converse(async (query) => {
    const identity = parseIdentity((await query('IDENTIFY_SYSTEM'))[0]);
    // The first timeline has no history, and asking for it is an error.
    const file =
      identity.timeline > 1
        ? (await query(`TIMELINE_HISTORY ${identity.timeline}`))[0]?.content
        : '';
    const standby = await query('SHOW in_hot_standby').catch((error: unknown) => {
      if (sqlState(error) === '42704') return null;
      throw error;
    });
    return { identity, history: parseHistory(file ?? ''), standby: standby?.[0]?.in_hot_standby };
  });
  const { identity, history } = answer;
  const inRecovery =
    answer.standby === undefined || answer.standby === null
      ? await askRecovery(
          clock,
          clientConfig(upstream, superuser, database),
          deadline - clock.now(),
        )
      : answer.standby === 'on';
  return { name: upstream.name, ...identity, history, inRecovery };
}

/** PostgreSQL 13 says it only to SQL. */
async function askRecovery(clock: Clock, config: Destination, timeoutMs: number): Promise<boolean> {
  const dial = new Dial((one) => newClient(one, Math.max(1, timeoutMs), () => undefined));
  try {
    const conversation = async (): Promise<boolean> => {
      const client = await dial.connect(config);
      const { rows } = await client.query<Record<string, string | null>>(
        'SELECT pg_is_in_recovery() AS recovery',
      );
      return rows[0]?.recovery === 't';
    };
    return await within(clock, Math.max(1, timeoutMs), 'asking for recovery', conversation());
  } catch (error) {
    throw new PostgresError(refusalOf(config, error), { cause: error });
  } finally {
    dial.abandon();
  }
}

/**
 * Creates our own slot on another server, so that a standby that starts next finds it: one that
 * does not waits for its next try (F5). One that is there already is as good.
 * @throws PostgresError
 */
export async function createSlotOn(
  clock: Clock,
  upstream: Upstream,
  replication: Credentials,
  slot: string,
  timeoutMs: number,
): Promise<void> {
  const config = clientConfig(upstream, replication, 'postgres');
  await overReplication(clock, config, 'true', timeoutMs, async (query) => {
    try {
      await query(`CREATE_REPLICATION_SLOT "${slot}" PHYSICAL RESERVE_WAL`);
    } catch (error) {
      if (sqlState(error) !== '42710') throw error;
    }
  });
}

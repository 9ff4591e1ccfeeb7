/** The database users that the cluster needs (C-5.7.5, recipe A). */
import { escapeIdentifier, escapeLiteral } from 'pg';
import type { Credentials, LocalPostgresOptions } from './options.ts';
import type { Session } from './session.ts';

/** For one statement, ms. */
const TIMEOUT_MS = 5000;

/** What pg_rewind calls on its source. */
const REWIND_FUNCTIONS = [
  'pg_ls_dir(text, boolean, boolean)',
  'pg_stat_file(text, boolean)',
  'pg_read_binary_file(text)',
  'pg_read_binary_file(text, bigint, bigint, boolean)',
] as const;

/**
 * Keeps the passwords in the following statements out of logs and statistics. In messages of their
 * own: the statements of one message are logged before the first of them takes effect.
 */
const QUIET = [
  'log_statement TO none',
  'log_min_duration_statement TO -1',
  'log_min_error_statement TO log',
  'pg_stat_statements.track_utility TO off',
] as const;

/** Creates the role or alters the one that is there. */
async function ensureRole(session: Session, user: Credentials, attributes: string): Promise<void> {
  const role = escapeIdentifier(user.username);
  const password = user.password === undefined ? '' : ` PASSWORD ${escapeLiteral(user.password)}`;
  const found = await session.query(
    `SELECT FROM pg_roles WHERE rolname = ${escapeLiteral(user.username)}`,
    TIMEOUT_MS,
  );
  const verb = found.length > 0 ? 'ALTER' : 'CREATE';
  const statement = `${verb} ROLE ${role} WITH LOGIN ${attributes}${password}`;
  await session.query(statement, TIMEOUT_MS);
}

type Users = Pick<LocalPostgresOptions, 'superuser' | 'replication' | 'rewind'>;

/**
 * @param session one of its own: its settings are changed
 * @param options.superuserToo initdb has not made it: its password is another cluster's
 * @throws what pg throws
 */
export async function createRoles(
  session: Session,
  { superuser, replication, rewind }: Users,
  { superuserToo }: { readonly superuserToo: boolean },
): Promise<void> {
  for (const setting of QUIET) await session.query(`SET ${setting}`, TIMEOUT_MS);
  if (superuserToo && superuser.password !== undefined)
    await ensureRole(session, superuser, 'SUPERUSER');
  if (replication.username !== superuser.username) {
    await ensureRole(session, replication, 'REPLICATION');
  }
  if (rewind === undefined || rewind.username === superuser.username) return;
  // One name for both would otherwise lose its right to replicate.
  await ensureRole(session, rewind, rewind.username === replication.username ? 'REPLICATION' : '');
  const role = escapeIdentifier(rewind.username);
  for (const name of REWIND_FUNCTIONS) {
    await session.query(`GRANT EXECUTE ON FUNCTION pg_catalog.${name} TO ${role}`, TIMEOUT_MS);
  }
}

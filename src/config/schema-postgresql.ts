/** The local `postgresql` section. */
import * as z from 'zod';
import { connectAddress, listenAddress } from './address.ts';
import { unsupported, withoutEffect } from './marks.ts';
import { sharedPostgresql } from './schema-shared.ts';
import { boolean, duration, oneOf, secret, text } from './values.ts';

function user<T extends z.ZodType>(what: string, username: T) {
  return z.looseObject(
    {
      username: username.meta({ description: `Name of the ${what} role.` }),
      password: secret().optional().meta({ description: 'Its password.' }),
      sslmode: oneOf('disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full')
        .optional()
        .meta({ description: 'As libpq has it.' }),
      sslcert: text().optional().meta({ description: 'As libpq has it.' }),
      sslkey: text().optional().meta({ description: 'As libpq has it.' }),
      sslpassword: secret().optional().meta({ description: 'As libpq has it.' }),
      sslrootcert: text().optional().meta({ description: 'As libpq has it.' }),
      sslcrl: text().optional().meta({ description: 'As libpq has it.' }),
      sslcrldir: text().optional().meta({ description: 'As libpq has it.' }),
      gssencmode: oneOf('disable', 'prefer', 'require')
        .optional()
        .meta({ description: 'As libpq has it.' }),
      channel_binding: oneOf('disable', 'prefer', 'require')
        .optional()
        .meta({ description: 'As libpq has it.' }),
      sslnegotiation: oneOf('postgres', 'direct')
        .optional()
        .meta({ description: 'As libpq has it.' }),
    },
    { error: 'a map' },
  );
}

const authenticationSchema = z
  .looseObject(
    {
      superuser: user('superuser', text().default('postgres'))
        .prefault({})
        .meta({ description: 'The superuser. Default name: postgres.' }),
      replication: user('replication', text()).meta({
        description: 'The role that replicas stream and clone with.',
      }),
      rewind: user('rewind', text())
        .optional()
        .meta({ description: 'The role that pg_rewind connects with. Not set: the superuser.' }),
    },
    { error: 'a map' },
  )
  .meta({ description: 'Roles that the daemon makes at bootstrap and connects with.' });

const binaryNames = z
  .looseObject(
    {
      pg_ctl: withoutEffect('PostgreSQL is started and stopped without pg_ctl'),
      pg_isready: withoutEffect('PostgreSQL is asked without pg_isready'),
      ...Object.fromEntries(
        ['initdb', 'pg_controldata', 'pg_basebackup', 'postgres', 'pg_rewind', 'pg_waldump'].map(
          (name) => [
            name,
            text()
              .optional()
              .meta({ description: `Name of ${name} in bin_dir.` }),
          ],
        ),
      ),
    },
    { error: 'a map' },
  )
  .prefault({})
  .meta({ description: 'Names of the programs where they differ.' });

/** Files, addresses and programs: things of this machine. */
const placement = {
  listen: listenAddress(5432).meta({
    description: 'Where PostgreSQL listens; several hosts separated by commas.',
  }),
  connect_address: connectAddress(5432).optional().meta({
    description: 'Where others reach it. Default: listen, if that names one reachable host.',
  }),
  proxy_address: connectAddress(5432).optional().meta({
    description:
      'A connection pool or proxy in front of this PostgreSQL: published as proxy_url of the member.',
  }),
  data_dir: text('a folder').meta({ description: 'The data directory.' }),
  config_dir: text('a folder')
    .optional()
    .meta({ description: 'Folder of the configuration files. Default: data_dir.' }),
  bin_dir: text('a folder')
    .optional()
    .meta({ description: 'Folder of the programs. Default: PATH is searched.' }),
  bin_name: binaryNames,
  custom_conf: text('a file').optional().meta({
    description: 'File that the generated configuration includes instead of postgresql.base.conf.',
  }),
  config_base_name: text()
    .default('postgresql')
    .meta({ description: 'Name of the configuration file without .conf. Default: postgresql.' }),
  use_unix_socket: boolean().default(false).meta({
    description: 'The daemon connects to its PostgreSQL through the socket folder. Default: off.',
  }),
  database: text()
    .default('postgres')
    .meta({ description: 'Database to connect to. Default: postgres.' }),
  pgpass: text('a file')
    .optional()
    .meta({ description: 'Password file that is generated. Default: ~/pgpass.' }),
  pg_ctl_timeout: duration(0)
    .default(60_000)
    .meta({ description: 'Time for PostgreSQL to start, seconds. Default: 60.' }),
  authentication: authenticationSchema,
};

const missing = {
  use_slots: unsupported('it is a setting of the whole cluster: set it in /config'),
  use_unix_socket_repl: withoutEffect(
    'the daemon makes no replication connection to its own server',
  ),
  krbsrvname: unsupported('the daemon itself cannot log in by Kerberos'),
};

export const postgresqlSchema = z
  .looseObject({ ...placement, ...sharedPostgresql, ...missing }, { error: 'a map' })
  .meta({ description: 'The PostgreSQL beside this daemon.' });

/** Configurations to begin with (C-6.9): a sample for this machine, and one for a PostgreSQL that runs. */
import { readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { isControlled } from '../postgres/commandline.ts';
import type { Inventory } from '../postgres/inventory.ts';

/** Beside src/ and dist/. */
const EXAMPLE = join(import.meta.dirname, '../../config.example.yaml');
const EXAMPLE_BUILT = join(import.meta.dirname, '../config.example.yaml');

/** The first address of this machine that others can reach. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((one) => one ?? []);
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';
}

/** A member's name goes into the store's keys and into connection strings. */
function ownName(): string {
  return hostname().split('.')[0]?.replace(/[\s/]/g, '-') || 'db1';
}

function example(): string {
  try {
    return readFileSync(EXAMPLE, 'utf8');
  } catch {
    return readFileSync(EXAMPLE_BUILT, 'utf8');
  }
}

/** config.example.yaml with name and address of this machine. */
export function sampleConfig(): string {
  return example()
    .replace(/^name: .*$/m, `name: ${JSON.stringify(ownName())}`)
    .replaceAll('10.0.0.11', ownAddress())
    .replaceAll('10.0.0.0/24', 'samenet');
}

/** Set by the daemon, or found again when the server is started. */
const LEFT_OUT =
  /^(?:data_directory|config_file|hba_file|ident_file|external_pid_file|primary_|recovery_|restore_command|archive_cleanup_command|promote_trigger_file|listen_addresses|port|cluster_name|hot_standby)/;

/** A configuration with which Tenure would run this server as it is; passwords have to be filled in. */
export function configOf(server: Inventory): string {
  const listen = server.listenAddresses === '' ? '127.0.0.1' : server.listenAddresses;
  const host = ownAddress();
  const settings = Object.entries(server.settings).filter(([name]) => !LEFT_OUT.test(name));
  const shared = settings.filter(([name]) => isControlled(name));
  const own = settings.filter(([name]) => !isControlled(name));
  const tree = {
    scope: server.clusterName === '' ? 'demo' : server.clusterName,
    name: ownName(),
    restapi: { listen: `${host}:8008`, connect_address: `${host}:8008` },
    etcd3: { hosts: ['127.0.0.1:2379'] },
    bootstrap: {
      dcs: {
        ttl: 30,
        loop_wait: 10,
        retry_timeout: 10,
        postgresql: { use_pg_rewind: true, parameters: Object.fromEntries(shared) },
      },
    },
    postgresql: {
      listen: `${listen}:${server.port}`,
      connect_address: `${host}:${server.port}`,
      data_dir: server.dataDir,
      ...(server.configDir !== server.dataDir && { config_dir: server.configDir }),
      ...(server.binDir !== null && { bin_dir: server.binDir }),
      authentication: {
        superuser: { username: server.user, password: 'change-me-1' },
        replication: { username: 'replicator', password: 'change-me-2' },
        rewind: { username: 'rewinder', password: 'change-me-3' },
      },
      ...(server.hba.length > 0 && { pg_hba: server.hba }),
      ...(server.ident.length > 0 && { pg_ident: server.ident }),
      parameters: Object.fromEntries(own),
    },
  };
  const head = `# Made from the PostgreSQL ${server.version} in ${server.dataDir}.
# Fill in the members of etcd and the passwords, and look at everything else once.
# The role replicator has to be there, with the right to replicate, before a replica is made.
`;
  return `${head}${stringify(tree, { version: '1.1', lineWidth: 0 })}`;
}

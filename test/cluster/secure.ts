/** A cluster on which everything is encrypted, everybody shows a certificate, and etcd asks for a password. */
import { join } from 'node:path';
import { Authority, type Certificate, Cluster, type Lab, TENURE } from '../../scripts/lab/index.ts';

/** Unlike any word that may stand in a log or file for another reason. */
export const SECRETS = {
  etcd: 'Ysecret-etcd-7Q',
  rest: 'Ysecret-rest-8R',
  superuser: 'Ysecret-super-9S',
  replication: 'Ysecret-repl-1T',
  rewind: 'Ysecret-rewind-2U',
  key: 'Ysecret-key-3V',
} as const;

export interface Pki {
  readonly authority: Authority;
  /** Whom nobody trusts. */
  readonly strangers: Authority;
  /** Of the lab itself. */
  readonly lab: Certificate;
}

export function makePki(lab: Lab): Pki {
  const folder = lab.path('certificates');
  const authority = new Authority(join(folder, 'ours'));
  const strangers = new Authority(join(folder, 'theirs'));
  return { authority, strangers, lab: authority.issue('postgres') };
}

/** What each node is configured with; certificates of the names `n1`, … have to be there. */
export function secureConfig({ authority }: Pki, name: string) {
  const cafile = authority.file;
  const own = authority.issue(name);
  const client = authority.issue(`${name}-client`, { password: SECRETS.key });
  const replication = authority.issue(`${name}-replication`);
  const verified = { sslmode: 'verify-full', sslrootcert: cafile };
  const rules = [
    'hostssl all postgres 127.0.0.1/32 scram-sha-256 clientcert=verify-ca',
    'hostssl all rewind_user 127.0.0.1/32 scram-sha-256',
    'hostssl replication replicator 127.0.0.1/32 scram-sha-256 clientcert=verify-ca',
  ];
  const words = { sslcert: replication.certfile, sslkey: replication.keyfile };
  return {
    restapi: {
      ...own,
      cafile,
      verify_client: 'required',
      authentication: { username: 'operator', password: SECRETS.rest },
      https_extra_headers: { 'Strict-Transport-Security': 'max-age=60' },
    },
    ctl: { cacert: cafile, ...client, keyfile_password: SECRETS.key },
    etcd3: {
      protocol: 'https',
      cacert: cafile,
      cert: own.certfile,
      key: own.keyfile,
      username: 'root',
      password: SECRETS.etcd,
    },
    bootstrap: { pg_hba: rules },
    postgresql: {
      authentication: {
        superuser: {
          username: 'postgres',
          password: SECRETS.superuser,
          ...verified,
          sslcert: own.certfile,
          sslkey: own.keyfile,
        },
        replication: {
          username: 'replicator',
          password: SECRETS.replication,
          channel_binding: 'require',
          ...verified,
          ...words,
        },
        rewind: { username: 'rewind_user', password: SECRETS.rewind, ...verified },
      },
      parameters: {
        ssl: 'on',
        ssl_cert_file: own.certfile,
        ssl_key_file: own.keyfile,
        ssl_ca_file: cafile,
      },
      pg_hba: rules,
    },
  };
}

/** Made, not started. */
export async function secureCluster(lab: Lab, pki: Pki, nodes: number): Promise<Cluster> {
  const { authority, lab: client } = pki;
  const trust = { authority: authority.file, client };
  const cluster = await Cluster.create(lab, {
    nodes,
    haproxy: false,
    trust,
    // Nothing that is written may depend on what the supervisor's umask keeps away from others.
    daemon: ['sh', '-c', 'umask 000; exec "$0" "$1"', ...TENURE, '{config}'],
    etcdOptions: { security: { ...trust, client, server: authority.issue('etcd') } },
  });
  await cluster.etcd.demandUsers(SECRETS.etcd);
  for (const node of cluster.nodes) node.configure(secureConfig(pki, node.name));
  return cluster;
}

/**
 * The local configuration: types, validation, JSON Schema and documentation all come from here.
 * Keys are those of Patroni's YAML.
 */
import * as z from 'zod';
import { refused, withoutEffect } from './marks.ts';
import { ctlSchema, etcd3Schema, restapiSchema } from './schema-network.ts';
import { postgresqlSchema } from './schema-postgresql.ts';
import {
  bootstrapSchema,
  logSchema,
  tagsSchema,
  tenureSchema,
  watchdogSchema,
} from './schema-sections.ts';
import { memberName, text } from './values.ts';

const otherStore =
  'only etcd3 is supported; with two stores configured it would not be clear which one decides';

export const localSchema = z
  .looseObject(
    {
      scope: text().meta({ description: 'Name of the cluster.' }),
      namespace: text()
        .default('/service')
        .meta({ description: 'Where the cluster lies in etcd. Default: /service.' }),
      name: memberName().meta({
        description: 'Name of this member; one of a kind in the cluster.',
      }),
      log: logSchema,
      restapi: restapiSchema,
      ctl: ctlSchema,
      etcd3: etcd3Schema,
      bootstrap: bootstrapSchema.optional(),
      postgresql: postgresqlSchema,
      watchdog: watchdogSchema,
      tags: tagsSchema,
      tenure: tenureSchema,
      thread_pool_size: withoutEffect('there are no threads'),
      thread_stack_size: withoutEffect('there are no threads'),
      citus: refused('each Citus group is a cluster under its own key, which is not supported yet'),
      etcd: refused(otherStore),
      consul: refused(otherStore),
      zookeeper: refused(otherStore),
      exhibitor: refused(otherStore),
      kubernetes: refused(otherStore),
      raft: refused(otherStore),
    },
    { error: 'a map' },
  )
  .meta({ title: 'Configuration of Tenure' });

export type LocalConfig = z.output<typeof localSchema>;

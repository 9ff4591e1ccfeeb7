/** What the local PostgreSQL is to run with, and how replicas are made, out of file and `/config`. */
import type { OwnMethod } from '../postgres/options.ts';
import type { MakingSettings, RoleSettings, ServerSettings } from '../postgres/postgres.ts';
import type { Dynamic } from './dynamic.ts';
import type { Config } from './load.ts';
import { methodOf, needsNoLeader } from './methods.ts';
import { allowedOptions, BASEBACKUP_OWN, REWIND_OWN } from './options.ts';
import { effectiveParameters, effectiveRecovery, isSharedByAll } from './parameters.ts';
import { toolOptionList } from './values.ts';

type Layers = readonly [local: Config['postgresql'], dynamic: Dynamic['postgresql']];

/** What cannot be used is said in `warnings`. */
export function serverSettings(
  config: Config,
  read: Dynamic,
  shared: Pick<ServerSettings, 'useSlots' | 'synchronous'>,
  warnings: string[],
): ServerSettings {
  const [local, dynamic]: Layers = [config.postgresql, read.postgresql];
  return {
    ...shared,
    parameters: effectiveParameters(dynamic.parameters ?? {}, local.parameters ?? {}, warnings),
    pgHba: local.pg_hba ?? dynamic.pg_hba ?? null,
    pgIdent: local.pg_ident ?? dynamic.pg_ident ?? null,
    recoveryConf: effectiveRecovery(
      dynamic.recovery_conf ?? {},
      local.recovery_conf ?? {},
      warnings,
    ),
    byRole: {
      primary: roleSettings([local, dynamic], 'primary', warnings),
      replica: roleSettings([local, dynamic], 'replica', warnings),
    },
    making: makingSettings([local, dynamic], warnings),
  };
}

function roleSettings(
  [local, dynamic]: Layers,
  role: 'primary' | 'replica',
  warnings: string[],
): RoleSettings {
  const name = `parameters_${role}` as const;
  const parameters: Record<string, string> = {};
  for (const [setting, value] of Object.entries({ ...dynamic[name], ...local[name] })) {
    if (isSharedByAll(setting))
      warnings.push(
        `postgresql.${name}.${setting} is ignored: it is the same in every role and comes from parameters`,
      );
    else parameters[setting] = value;
  }
  return {
    parameters,
    pgHba: local[`pg_hba_${role}`] ?? dynamic[`pg_hba_${role}`] ?? null,
    pgIdent: local[`pg_ident_${role}`] ?? dynamic[`pg_ident_${role}`] ?? null,
  };
}

function makingSettings([local, dynamic]: Layers, warnings: string[]): MakingSettings {
  const names = local.create_replica_methods ?? dynamic.create_replica_methods ?? ['basebackup'];
  const sections: Readonly<Record<string, unknown>> = { ...dynamic, ...local };
  const methods = names.map((name): 'basebackup' | OwnMethod =>
    name === 'basebackup' ? name : methodOf(name, sections[name]),
  );
  for (const name of names) {
    if (name !== 'basebackup' && needsNoLeader(sections[name]))
      warnings.push(
        `postgresql.${name}.no_leader is not supported yet: a replica is made when there is a leader`,
      );
  }
  const options = (key: 'basebackup' | 'rewind', own: ReadonlySet<string>) =>
    toolOptionList(
      allowedOptions(`postgresql.${key}`, local[key] ?? dynamic[key] ?? [], own, warnings),
    );
  return {
    replicaMethods: methods,
    basebackup: options('basebackup', BASEBACKUP_OWN),
    rewind: options('rewind', REWIND_OWN),
  };
}

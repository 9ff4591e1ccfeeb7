/**
 * `postgresql.parameters` and `recovery_conf` of all layers. What replication depends on is the same
 * on every member: it comes from the dynamic configuration alone (C-6.4). Whether a value is fit is
 * decided where it is used, beside the command line.
 */
import { isControlled } from '../postgres/commandline.ts';

type Parameters = Readonly<Record<string, string>>;

/** Names in lower case. What is ignored is said in `warnings`. */
export function effectiveParameters(
  dynamic: Parameters,
  local: Parameters,
  warnings: string[],
): Parameters {
  const effective: Record<string, string> = { ...dynamic };
  for (const [name, value] of Object.entries(local)) {
    if (!isControlled(name)) effective[name] = value;
    else if (effective[name] !== value) {
      warnings.push(`postgresql.parameters.${name} is ignored: ${sourceOf(name)}`);
    }
  }
  return effective;
}

/** Settings that no role may have of its own: on every member alike, or the leader's to set. */
export function isSharedByAll(name: string): boolean {
  return isControlled(name) || name === 'synchronous_standby_names';
}

function sourceOf(name: string): string {
  if (name === 'listen_addresses' || name === 'port') return 'it comes from postgresql.listen';
  return 'it is the same on every member and comes from /config';
}

/** Recovery settings that the daemon writes itself. */
const OWN_RECOVERY =
  /^(primary_|recovery_target|standby_mode$|trigger_file$|promote_trigger_file$)/;

export function effectiveRecovery(
  dynamic: Parameters,
  local: Parameters,
  warnings: string[],
): Parameters {
  const all = { ...dynamic, ...local };
  const ignored = Object.keys(all).filter((name) => OWN_RECOVERY.test(name));
  for (const name of ignored) {
    warnings.push(`postgresql.recovery_conf.${name} is ignored: the daemon sets it itself`);
  }
  return Object.fromEntries(Object.entries(all).filter(([name]) => !ignored.includes(name)));
}

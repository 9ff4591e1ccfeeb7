/** `POST /restart`, `DELETE /restart`, `POST /reinitialize`, `POST /reload` (C-3.6): for this node alone. */
import type { RestartFilter } from '../core/model.ts';
import { type Operator, type Reply, reply } from './operator.ts';
import { parseSchedule } from './scheduling.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Longest time for checkpoint and stop, beside the start, ms. */
const BEFORE_START_MS = 135_000;
/** For the loop to decide about a reinitialization: cancelled work has to end first, ms. */
const DECISION_MS = 60_000;
const ROLES = ['primary', 'standby_leader', 'replica'] as const;

interface Wish {
  readonly filter: RestartFilter;
  readonly timeoutMs: number | null;
  readonly at: string | null;
}

export async function restart(operator: Operator, fields: Fields): Promise<Reply> {
  const { paused, settings, postgres } = operator.snapshot();
  if (paused && 'schedule' in fields)
    return reply(500, "Can't schedule restart in the paused state");
  const wish = parseWish(fields, operator.clock.wall().getTime());
  if ('status' in wish) return wish;
  const { filter, timeoutMs, at } = wish;
  if (at === null) {
    const patience = (timeoutMs ?? settings.primaryStartTimeoutMs) + BEFORE_START_MS;
    return submit(operator, { do: 'restart', filter, timeoutMs }, patience);
  }
  const sql = postgres?.sql.known === true ? postgres.sql.value : null;
  const postmasterStartTime = sql?.postmasterStartTime ?? null;
  const accepted = operator.requests.schedule({ filter, timeoutMs, at, postmasterStartTime });
  return accepted
    ? reply(202, 'Restart scheduled')
    : reply(409, 'Another restart is already scheduled');
}

async function submit(
  operator: Operator,
  ask: Parameters<Operator['requests']['submit']>[0],
  patienceMs: number,
): Promise<Reply> {
  const patience = new AbortController();
  const cancel = operator.clock.after(patienceMs, () => patience.abort());
  try {
    const { status, text, why } = await operator.requests.submit(ask, patience.signal);
    return reply(status, text, status === 200 ? null : why);
  } finally {
    cancel();
  }
}

/** In the order of the body, as Patroni reads it. */
function parseWish(fields: Fields, wallNow: number): Wish | Reply {
  let filter: RestartFilter = { role: null, olderThan: null, pendingOnly: false };
  let timeoutMs: number | null = null;
  let at: string | null = null;
  for (const [key, value] of Object.entries(fields)) {
    switch (key) {
      case 'schedule': {
        const parsed = parseSchedule(value, 'restart', wallNow);
        if (typeof parsed !== 'string') return parsed;
        at = parsed;
        break;
      }
      case 'role': {
        const role = ROLES.find((known) => known === value);
        if (role === undefined)
          return reply(400, 'PostgreSQL role should be either primary, standby_leader, or replica');
        filter = { ...filter, role };
        break;
      }
      case 'postgres_version': {
        const version = parseVersion(String(value));
        if (typeof version === 'string') return reply(400, version);
        filter = { ...filter, olderThan: version };
        break;
      }
      case 'timeout': {
        timeoutMs = parseSeconds(value);
        if (timeoutMs === null) return reply(400, 'Timeout should be a positive number of seconds');
        break;
      }
      case 'restart_pending':
        filter = { ...filter, pendingOnly: true };
        break;
      default:
        return reply(400, `Unknown filter for the scheduled restart: ${key}`);
    }
  }
  return { filter, timeoutMs, at };
}

/** `15.4` or `9.6.3` as server_version_num; a text: what is wrong. */
function parseVersion(text: string): number | string {
  const parts = text.split('.').map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : null));
  if (parts.some((part) => part === null)) return `Invalid PostgreSQL version: ${text}`;
  const [major = 0, second = 0, third = 0] = parts as number[];
  const wrong = parts.length < 2 || parts.length > 3 || (parts.length === 2 && major < 10);
  if (wrong) return `Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: ${text}`;
  return parts.length === 2 ? major * 10_000 + second : major * 10_000 + second * 100 + third;
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1000,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

function parseSeconds(value: unknown): number | null {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/.exec(
    typeof value === 'number' || typeof value === 'string' ? String(value) : '',
  );
  const unit = UNITS[match?.[2] ?? ''];
  const parsed = match === null || unit === undefined ? 0 : Math.round(Number(match[1]) * unit);
  return parsed > 0 ? parsed : null;
}

export function deleteRestart({ requests }: Operator): Reply {
  return requests.unschedule()
    ? reply(200, 'scheduled restart deleted')
    : reply(404, 'no restarts are scheduled');
}

export function reinitialize(operator: Operator, fields: Fields): Promise<Reply> {
  const ask = {
    do: 'reinitialize',
    force: isYes(fields.force),
    fromLeader: isYes(fields.from_leader),
  } as const;
  return submit(operator, ask, DECISION_MS);
}

function isYes(value: unknown): boolean {
  return ['true', 'on', 'yes', '1'].includes(String(value).toLowerCase());
}

export function reload({ reload: again }: Operator): Reply {
  again();
  return reply(202, 'reload scheduled');
}

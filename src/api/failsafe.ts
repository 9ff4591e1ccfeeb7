/** POST /failsafe: a leader that cannot reach the store asks to go on (C-3.6, C-5.4). */
import { servingPostgres } from './facts.ts';
import { type Operator, type Reply, reply } from './operator.ts';

type Fields = Readonly<Record<string, unknown>>;

export async function agree(
  operator: Pick<Operator, 'agree' | 'snapshot'>,
  fields: Fields,
): Promise<Reply> {
  const { name, slots, tenure } = fields;
  if (typeof name !== 'string' || name === '')
    return reply(400, 'name: the member that leads, found none');
  const refusal = await operator.agree({
    leader: name,
    ttlMs: ttlOf(tenure),
    slots: positionsOf(slots),
  });
  if (refusal !== null) return { status: refusal.status, body: refusal.text };
  const sql = servingPostgres(operator.snapshot());
  const position = sql === null ? 0 : Math.max(sql.receiveLsn ?? 0, sql.replayLsn ?? 0);
  return { status: 200, body: 'Accepted', headers: position === 0 ? {} : { lsn: `${position}` } };
}

/** Ours say what they count with; Patroni's leaders do not. */
function ttlOf(tenure: unknown): number | null {
  const ttlMs = isFields(tenure) ? tenure.ttl_ms : undefined;
  return typeof ttlMs === 'number' && ttlMs > 0 && ttlMs <= 86_400_000 ? ttlMs : null;
}

/** What is no position is left out: slots are moved only to where somebody has been. */
function positionsOf(slots: unknown): Readonly<Record<string, number>> {
  if (!isFields(slots)) return {};
  const positions = Object.entries(slots).filter((entry): entry is [string, number] =>
    Number.isSafeInteger(entry[1]),
  );
  return Object.fromEntries(positions);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

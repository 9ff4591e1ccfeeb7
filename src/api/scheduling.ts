/** The `schedule` of a restart and the `scheduled_at` of a switchover, with their errors (C-3.6). */
import { parseInstant } from '../core/schedule.ts';
import { type Reply, reply } from './operator.ts';

/** The time as it is stored, or what is wrong with it. */
export function parseSchedule(value: unknown, action: string, wallNow: number): string | Reply {
  const instant = parseInstant(typeof value === 'string' ? value : '');
  if (instant.kind === 'no zone')
    return reply(400, `Timezone information is mandatory for the scheduled ${action}`);
  if (instant.kind === 'unreadable')
    return reply(
      422,
      'Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601',
    );
  if (instant.epochMs < wallNow) return reply(422, `Cannot schedule ${action} in the past`);
  return instant.iso;
}

import { describe, expect, it } from 'vitest';
import { parseInstant } from '../../src/core/schedule.ts';

const epoch = (text: string): number | string => {
  const parsed = parseInstant(text);
  return parsed.kind === 'instant' ? parsed.epochMs : parsed.kind;
};

describe('a time of day', () => {
  it('is what the calendar says, in every month and across leap years', () => {
    for (let day = Date.UTC(1999, 11, 25); day < Date.UTC(2033, 0, 9); day += 11 * 86_400_000) {
      const text = new Date(day + 45_296_789).toISOString();
      expect([text, epoch(text)]).toEqual([text, Date.parse(text)]);
    }
    for (const text of ['2000-02-29T00:00:00Z', '2028-02-29T23:59:59Z', '2100-03-01T00:00:00Z'])
      expect(epoch(text)).toBe(Date.parse(text));
  });

  it.each([
    ['2026-12-01T03:00+01:00', '2026-12-01T03:00:00+01:00'],
    ['2026-12-01 03:00:00.5 UTC', '2026-12-01T03:00:00.500000+00:00'],
    ['2026-12-01T03:00:00-0330', '2026-12-01T03:00:00-03:30'],
    ['2026-12-01T03:00:00.123456789Z', '2026-12-01T03:00:00.123456+00:00'],
  ])('%s is kept as %s', (text, iso) => {
    expect(parseInstant(text)).toMatchObject({ kind: 'instant', iso });
  });

  it.each([
    ['2026-12-01T03:00:00', 'no zone'],
    ['2026-02-29T03:00:00Z', 'unreadable'],
    ['2026-13-01T03:00:00Z', 'unreadable'],
    ['2026-12-01T24:00:00Z', 'unreadable'],
    ['2026-12-01T03:00:00+25:00', 'unreadable'],
    ['tomorrow', 'unreadable'],
    ['', 'unreadable'],
  ])('%s: %s', (text, kind) => {
    expect(epoch(text)).toBe(kind);
  });
});

import { describe, expect, test } from 'vitest';
import { judge } from '../../scripts/drill/judge.ts';
import { longestGap } from '../../scripts/lab/writer.ts';
import { table } from '../../scripts/table.ts';

describe('a round of the drill fails', () => {
  const counts = (lost: number, lostThoughReceived = 0, unknown: readonly string[] = []) => ({
    lost,
    lostThoughReceived,
    unknown,
  });
  test.each([
    {
      given: 'a crash, nothing lost',
      planned: 'no',
      stayed: false,
      counts: counts(0),
      fails: false,
    },
    {
      given: 'a crash, nothing lost, a standby that did not tell',
      planned: 'no',
      stayed: false,
      counts: counts(0, 0, ['n2: gone']),
      fails: false,
    },
    {
      given: 'a crash, rows lost that no standby had',
      planned: 'no',
      stayed: false,
      counts: counts(3),
      fails: false,
    },
    {
      given: 'a crash, one row lost that a standby had',
      planned: 'no',
      stayed: false,
      counts: counts(3, 1),
      fails: true,
    },
    {
      given: 'a crash, rows lost, and a standby that did not tell',
      planned: 'no',
      stayed: false,
      counts: counts(3, 0, ['n2: gone']),
      fails: true,
    },
    {
      given: 'a planned fault, one row lost',
      planned: 'yes',
      stayed: false,
      counts: counts(1),
      fails: true,
    },
    {
      given: 'a daemon killed, its node stayed primary, one row lost',
      planned: 'unless failed over',
      stayed: true,
      counts: counts(1),
      fails: true,
    },
    {
      given: 'a daemon killed, another node took over, rows lost that no standby had',
      planned: 'unless failed over',
      stayed: false,
      counts: counts(1),
      fails: false,
    },
  ] as const)('$given: $fails', ({ planned, stayed, counts, fails }) => {
    expect(judge(planned, stayed, counts).length > 0).toBe(fails);
  });
});

describe('the longest gap', () => {
  test('is the longest between two acknowledgements', () => {
    expect(longestGap([1, 2, 7, 8], 0, 9)).toEqual({ ms: 5, from: 2, to: 7 });
  });
  test('may begin before the window and end after it', () => {
    expect(longestGap([1, 9, 10], 4, 5)).toEqual({ ms: 8, from: 1, to: 9 });
  });
  test('lasts until the end of the window while nothing is acknowledged', () => {
    expect(longestGap([1, 2], 0, 50)).toEqual({ ms: 48, from: 2, to: 50 });
  });
  test('does not count the time before the first acknowledgement', () => {
    expect(longestGap([40, 42], 0, 43).ms).toBe(2);
  });
});

test('a table is aligned, with its head ruled off', () => {
  expect(
    table(
      [
        ['node', 'lag'],
        ['n1', '5'],
        ['node2', '100'],
      ],
      [1],
    ),
  ).toEqual(['node   lag', '-----  ---', 'n1       5', 'node2  100']);
});

/** Phases of an outage, read from the daemons' logs. */
import { describe, expect, it } from 'vitest';
import { parseLog, phases, type Telling } from '../../scripts/bench/phases.ts';

const at = (ms: number): number => Date.parse('2026-07-01T12:00:00Z') + ms;
const line = (ms: number, text: string) => ({ at: at(ms), text });

function telling(shift: number): Telling {
  return {
    faultAt: at(0),
    gapFrom: at(5),
    gapTo: at(400 + shift),
    lines: [
      {
        who: 'old leader',
        lines: [
          line(-500, 'LOG:  received fast shutdown request'),
          line(1, 'LOG:  checkpoint starting: immediate force wait'),
          line(3, 'LOG:  checkpoint complete: wrote 3 buffers'),
          line(10, 'LOG:  received fast shutdown request'),
          line(20, 'LOG:  checkpoint starting: shutdown immediate'),
          line(30 + shift, 'LOG:  checkpoint complete: wrote 1 buffers'),
        ],
      },
      { who: 'new leader', lines: [line(100, 'LOG:  received promote request')] },
    ],
  };
}

describe('phases', () => {
  it('reads both layouts of lines', () => {
    const text = [
      '2026-07-01 12:00:00,123 INFO: promoted',
      '    a second line',
      '2026-07-01 12:00:00.250 UTC [77] LOG:  shutting down',
    ].join('\n');
    const [daemon, postgres, ...more] = parseLog(text);
    expect(more).toEqual([]);
    expect(daemon).toEqual({
      at: new Date(2026, 6, 1, 12, 0, 0, 123).getTime(),
      text: 'INFO: promoted',
    });
    expect(postgres).toEqual({ at: at(250), text: '[77] LOG:  shutting down' });
  });

  it('orders the events of all rounds by their medians', () => {
    const found = phases([telling(0), telling(10), telling(100)]);
    expect(found.map(({ what, at: ms, took, rounds }) => [what, ms, took, rounds])).toEqual([
      ['PostgreSQL: checkpoint while serving is done', 3, 0, 3],
      ['last acknowledgement before the gap', 5, 2, 3],
      ['PostgreSQL: told to stop', 10, 5, 3],
      ['PostgreSQL: shutdown checkpoint begins', 20, 10, 3],
      ['PostgreSQL: shutdown checkpoint is done', 40, 20, 3],
      ['PostgreSQL: told to promote', 100, 60, 3],
      ['first acknowledgement after the gap', 410, 310, 3],
    ]);
  });

  it("has the end of a dead leader's lease", () => {
    const { lines, ...times } = telling(0);
    const found = phases([{ ...times, leaseEnd: at(50), lines: lines.slice(1) }]);
    expect(found.map(({ who, at: ms }) => [who, ms])).toEqual([
      ['writer', 5],
      ['etcd', 50],
      ['new leader', 100],
      ['writer', 400],
    ]);
  });

  it('leaves out what happened before the fault or after the gap', () => {
    const before: Telling = {
      faultAt: at(0),
      gapFrom: null,
      gapTo: at(50),
      lines: [
        { who: 'old leader', lines: [line(-5, 'LOG:  received fast shutdown request')] },
        { who: 'new leader', lines: [line(5000, 'LOG:  received promote request')] },
      ],
    };
    expect(phases([before])).toEqual([]);
  });
});

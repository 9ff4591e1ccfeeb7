/** Results of many runs: a JSON object per line, one for each fault; and their sum. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { MODES } from './modes.ts';

const Entry = z.object({
  at: z.string(),
  mode: z.enum(MODES),
  network: z.enum(['namespaces', 'loopback']),
  seed: z.int(),
  number: z.int(),
  kind: z.string(),
  on: z.string(),
  durationMs: z.number(),
  /** Longest time between two acknowledgements through HAProxy. */
  outageMs: z.number(),
  /** From the end of the fault; null: not in time, and not a minute later. */
  healedMs: z.number().nullable(),
  /** Load average of the last minute, for each processor. */
  load: z.number().optional(),
  acknowledged: z.int(),
  /** Commits with the warning that no standby has them; they are not counted as acknowledged. */
  cancelledWaits: z.int(),
  lost: z.int(),
  /** From the first lost write to the last write of its server. */
  lostBytes: z.number(),
  lostMs: z.number(),
  /** Acknowledged by a second node within 50 ms of its machine's waking. */
  excused: z.int(),
  violations: z.array(z.string()),
});
export type Entry = z.infer<typeof Entry>;

/** @throws Error a line is none of ours */
export function readLedger(file: string): readonly Entry[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line, index) => {
    if (line === '') return [];
    try {
      return [Entry.parse(JSON.parse(line))];
    } catch (error) {
      throw new Error(`${file}, line ${index + 1}: ${String(error)}`);
    }
  });
}

export function enter(file: string, entry: Entry): void {
  appendFileSync(file, `${JSON.stringify(entry)}\n`);
}

/** Number of the first fault that was not played yet. */
export function nextOf(entries: readonly Entry[], seed: number, mode: Entry['mode']): number {
  const same = entries.filter((one) => one.seed === seed && one.mode === mode);
  return Math.max(0, ...same.map(({ number }) => number + 1));
}

/** One row for each mode, then the longest outage of each kind of fault in each mode; Markdown. */
export function summary(entries: readonly Entry[]): readonly string[] {
  const modes = MODES.filter((mode) => entries.some((one) => one.mode === mode));
  const of = (mode: string): readonly Entry[] => entries.filter((one) => one.mode === mode);
  const kinds = [...new Set(entries.map(({ kind }) => kind))].sort();
  return [
    ...markdown(
      [
        'Mode',
        'Seeds',
        'Faults',
        'Acknowledged',
        'Lost',
        'Most lost at once',
        'Two acknowledging',
        'Longest healing',
        'Violations',
      ],
      modes.map((mode) => modeRow(mode, of(mode))),
    ),
    '',
    ...markdown(
      ['Fault', ...modes.map((mode) => `${mode}: times, longest outage`)],
      kinds.map((kind) => [
        kind,
        ...modes.map((mode) => {
          const own = of(mode).filter((one) => one.kind === kind);
          return own.length === 0 ? '–' : `${own.length}, ${seconds(most(own, 'outageMs'))}`;
        }),
      ]),
    ),
  ];
}

function modeRow(mode: string, own: readonly Entry[]): readonly string[] {
  const sum = (of: (entry: Entry) => number): number =>
    own.reduce((total, entry) => total + of(entry), 0);
  const lost = sum((one) => one.lost);
  const unhealed = own.filter(({ healedMs }) => healedMs === null).length;
  const excused = sum((one) => one.excused);
  return [
    mode,
    [...new Set(own.map(({ seed }) => seed))].join(', '),
    String(own.length),
    String(sum((one) => one.acknowledged)),
    String(lost),
    lost === 0 ? '–' : `${most(own, 'lostBytes')} bytes, ${seconds(most(own, 'lostMs'))}`,
    excused === 0 ? '0' : `${excused} right after a pause`,
    unhealed === 0 ? seconds(most(own, 'healedMs')) : `${unhealed} not healed`,
    String(sum((one) => one.violations.length)),
  ];
}

const most = (
  own: readonly Entry[],
  field: 'outageMs' | 'lostBytes' | 'lostMs' | 'healedMs',
): number => Math.max(0, ...own.map((one) => one[field] ?? 0));

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all: readonly (readonly string[])[] = [head, head.map(() => '---'), ...rows];
  return all.map((row) => `| ${row.join(' | ')} |`);
}

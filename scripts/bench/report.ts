/** The table in Markdown, ready to be pasted. */
import type { Results } from './results.ts';
import type { Row, Unit } from './rows.ts';
import type { Summary } from './statistics.ts';

const DIGITS: Readonly<Record<Unit, number>> = { s: 2, '1/s': 0, '%': 2, MB: 0, '1/min': 1 };

/**
 * How many times better the first of two daemons is, by medians.
 * @throws NoComparison a ratio needs exactly two daemons, measured in the same run
 */
export function ratio(row: Row, labels: readonly string[], results: Results): number | undefined {
  const [ours, theirs] = labels;
  if (labels.length !== 2 || ours === undefined || theirs === undefined) {
    throw new NoComparison(
      `no ratio: it takes two daemons measured in the same run, and this one had ${labels.length} (${labels.join(', ')})`,
    );
  }
  const first = results.summary(ours, row.id)?.median;
  const second = results.summary(theirs, row.id)?.median;
  if (first === undefined || second === undefined) return undefined;
  const value = row.better === 'lower' ? second / first : first / second;
  return Number.isFinite(value) && value > 0 ? value : undefined;
}

export class NoComparison extends Error {
  override readonly name = 'NoComparison';
}

export function markdown(
  rows: readonly Row[],
  labels: readonly string[],
  results: Results,
): string[] {
  const compared = labels.length === 2;
  const head = ['measured', 'target'];
  for (const label of labels) head.push(`${label}: median (min–max)`, 'rows lost');
  if (compared) head.push(`${labels[1]} ÷ ${labels[0]}`);
  const lines = rows.map((row) => {
    const cells = [row.title, targetText(row)];
    for (const label of labels)
      cells.push(valueText(row, label, results), lostText(row, label, results));
    if (compared) cells.push(ratioText(row, labels, results));
    return cells;
  });
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`);
}

function targetText({ target, unit, better }: Row): string {
  const sign = better === 'lower' ? '≤' : '≥';
  const text = (value: number): string => `${sign} ${value.toLocaleString('en-US')} ${unit}`;
  if (target.median === undefined) return '–';
  if (target.max === undefined) return text(target.median);
  return `${text(target.median)}, at most ${target.max} ${unit}`;
}

function valueText(row: Row, label: string, results: Results): string {
  const found = results.summary(label, row.id);
  const { failures } = results.cell(label, row.id);
  const failed = failures.length === 0 ? '' : `; ${failures.length} rounds failed`;
  if (found === undefined) return failures.length === 0 ? 'not run' : 'failed, see below';
  return `${summaryText(row, found)}${failed}`;
}

function summaryText({ unit }: Row, { median, min, max }: Summary): string {
  const text = (value: number): string =>
    unit === '1/s' ? Math.round(value).toLocaleString('en-US') : value.toFixed(DIGITS[unit]);
  return `${text(median)} ${unit} (${text(min)}–${text(max)})`;
}

function lostText(row: Row, label: string, results: Results): string {
  if (!row.losesRows) return '–';
  return results.cell(label, row.id).samples.length === 0
    ? '–'
    : String(results.lost(label, row.id));
}

function ratioText(row: Row, labels: readonly string[], results: Results): string {
  const value = ratio(row, labels, results);
  return value === undefined ? '–' : value.toFixed(value < 10 ? 1 : 0);
}

/** The rows whose target the first daemon missed, each with a sentence. */
export function misses(rows: readonly Row[], label: string, results: Results): string[] {
  return rows.flatMap((row) => {
    const found = results.summary(label, row.id);
    if (found === undefined || row.target.median === undefined) return [];
    const { median, max } = row.target;
    const beyond = row.better === 'lower' ? found.median > median : found.median < median;
    const worst = max !== undefined && found.max > max;
    return beyond || worst
      ? [`${row.title}: ${summaryText(row, found)}, target ${targetText(row)}`]
      : [];
  });
}

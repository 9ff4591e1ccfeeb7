/**
 * Prometheus's text format, version 0.0.4. Written here and not by a library: a value such as
 * `040104` and the comment that the contract asks for are beyond prom-client, which costs 16 MB and
 * holds up the event loop for 0.2 s when it is loaded (docs/decisions.md).
 */
import type { Histogram } from '../measures.ts';

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  /** `_bucket` and the like; default: none. */
  readonly suffix?: string;
  readonly labels?: Labels;
  /** A text stands there as it is. */
  readonly value: number | string;
}

/** One metric: what it is called, what it says, and where the values come from. */
export interface Metric<From> {
  readonly name: string;
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly help: string;
  /** A comment of its own below the help. */
  readonly comment?: string;
  /** None: the metric is left out, as nothing is known (rule S4). */
  readonly samples: (from: From) => readonly Sample[];
}

/** @param labels stand first at every sample */
export function exposition<From>(
  metrics: readonly Metric<From>[],
  from: From,
  labels: Labels,
): string {
  return metrics.map((metric) => metricText(metric, metric.samples(from), labels)).join('');
}

function metricText<From>(
  { name, type, help, comment }: Metric<From>,
  samples: readonly Sample[],
  common: Labels,
): string {
  if (samples.length === 0) return '';
  const lines = [
    `# HELP ${name} ${escaped(help)}`,
    ...(comment === undefined ? [] : [`# ${comment}`]),
    `# TYPE ${name} ${type}`,
    ...samples.map(({ suffix = '', labels = {}, value }) => {
      const all = Object.entries({ ...common, ...labels });
      const shown = all.map(
        ([label, text]) => `${label}="${escaped(text).replaceAll('"', '\\"')}"`,
      );
      return `${name}${suffix}{${shown.join(',')}} ${value}`;
    }),
  ];
  return `${lines.join('\n')}\n`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

export function flag(set: boolean): readonly Sample[] {
  return [{ value: set ? 1 : 0 }];
}

export function number(value: number | null): readonly Sample[] {
  return value === null ? [] : [{ value }];
}

/** In seconds, as Prometheus has them. */
export function times(histogram: Histogram, labels: Labels = {}): readonly Sample[] {
  let below = 0;
  const buckets = histogram.boundsMs.map((bound, at) => {
    below += histogram.counts[at] ?? 0;
    return { suffix: '_bucket', labels: { ...labels, le: String(bound / 1000) }, value: below };
  });
  return [
    ...buckets,
    { suffix: '_bucket', labels: { ...labels, le: '+Inf' }, value: histogram.count },
    { suffix: '_sum', labels, value: Number((histogram.sumMs / 1000).toFixed(6)) },
    { suffix: '_count', labels, value: histogram.count },
  ];
}

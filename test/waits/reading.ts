/** Finds in source text whatever lets time pass: timers, waits, and when a decision wants to look again. */

export interface Wait {
  /** The rule's id when it is written out, otherwise the file. */
  readonly where: string;
  /** The expression that says how long. */
  readonly ms: string;
}

/** Comments and the insides of strings out, lengths kept, so that brackets can be counted. */
function bare(text: string): string {
  const blank = (found: string): string => found.replace(/[^\n]/g, ' ');
  return text.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g,
    (found) => blank(found),
  );
}

/** The arguments of the call whose "(" is at `open`, as written. */
function argumentsAt(text: string, blanked: string, open: number): string[] {
  const found: string[] = [];
  let depth = 0;
  let from = open + 1;
  for (let at = open; at < blanked.length; at += 1) {
    const sign = blanked[at] ?? '';
    if (at === open || '([{'.includes(sign)) depth += 1;
    if (')]}'.includes(sign)) depth -= 1;
    if (depth === 0 || (depth === 1 && (sign === ',' || sign === ';'))) {
      const argument = text.slice(from, at).replace(/\s+/g, ' ').trim();
      if (argument !== '') found.push(argument);
      from = at + 1;
    }
    if (depth === 0) return found;
  }
  return found;
}

function calls(text: string, name: RegExp): string[][] {
  const blanked = bare(text);
  return [...blanked.matchAll(name)].map((match) =>
    argumentsAt(text, blanked, match.index + match[0].length - 1),
  );
}

/** Timers of Node's that are not the clock's. */
export function bareTimers(text: string): number {
  const own = /(?<![.\w])set(?:Timeout|Interval|Immediate)\(|\bnode:timers\b|\bAtomics\.wait\b/g;
  return [...text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '').matchAll(own)].length;
}

/** Every wait on a clock, and every other thing with a method of that name. */
export function clockWaits(file: string, text: string): Wait[] {
  return calls(text, /\.(?:wait|after)\(/g).map(([ms = '']) => ({ where: file, ms }));
}

/** The time after which decisions look again: fifth argument, or a field of that name. */
export function wakeUps(file: string, text: string): Wait[] {
  const decided = calls(text, /(?<!function )\bdecision\(/g).flatMap(([, rule = '', , , ms]) =>
    ms === undefined ? [] : [{ where: /^'(.*)'$/.exec(rule)?.[1] ?? file, ms }],
  );
  const blanked = bare(text);
  const fields = [...blanked.matchAll(/\b(?:wakeInMs|waitMs): /g)].flatMap((match) => {
    // As if it were the first argument of a call.
    const [ms = ''] = argumentsAt(text, blanked, match.index + match[0].length - 1);
    return /^number\b(?! =)/.test(ms) ? [] : [{ where: file, ms }];
  });
  return [...decided, ...fields];
}

/** Constants below a second: NAME_MS, or the members of an object of that name. */
export function shortConstants(text: string): string[] {
  const declared = bare(text).matchAll(/\bconst (\w+_MS)(?:: [^=]+)? = ([^;]+);/g);
  return [...declared].flatMap(([, name = '', value = '']) => {
    const numbers = [...value.matchAll(/\d[\d_]*/g)].map(([digits]) =>
      Number(digits.replaceAll('_', '')),
    );
    const product = value.includes('*') ? [numbers.reduce((all, one) => all * one, 1)] : numbers;
    return product.some((one) => one < 1000) ? [name] : [];
  });
}

/** True when the expression is certainly a second or more: nothing that polls. */
export function isLong(ms: string, text: string): boolean {
  const value = /^\d[\d_]*$/.test(ms)
    ? ms
    : new RegExp(`\\bconst ${ms.replace(/\W/g, '')} = (\\d[\\d_]*);`).exec(text)?.[1];
  return value !== undefined && Number(value.replaceAll('_', '')) >= 1000;
}

/**
 * JSON as it stands in the store: written like Patroni does (compact, ASCII), read with suspicion.
 */

/** Compact; everything outside printable ASCII as \uXXXX, as Python writes it. */
export function compactJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** `undefined` when the text is not JSON. Never throws. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A whole number that survived the way through JSON. */
export function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/** As PostgreSQL counts timelines. One beyond would end every promotion above it. */
export function isTimeline(value: unknown): value is number {
  return isWhole(value) && value >= 1 && value <= 0x7fff_ffff;
}

/** A position in the WAL, in bytes. */
export function isPosition(value: unknown): value is number {
  return isWhole(value) && value >= 0;
}

/** A position, also when it stands there as text. */
export function positionOf(value: unknown): number | null {
  const position = wholeNumber(value);
  return isPosition(position) ? position : null;
}

export const TIMELINES = 'a timeline, 1 to 2147483647';
export const POSITIONS = 'a position in bytes, 0 to 2^53-1';

/** A whole number, also when it stands there as text. */
export function wholeNumber(value: unknown): number | null {
  if (isWhole(value)) return value;
  if (typeof value !== 'string' || !/^\d{1,16}$/.test(value)) return null;
  const number = Number(value);
  return isWhole(number) ? number : null;
}

const SHOWN_CHARACTERS = 60;

/** A found value for a message: quoted, on one line, cut. */
export function shown(text: string): string {
  const cut = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
  return JSON.stringify(cut);
}

/** Any parsed value for a message. Never throws: foreign data may be too deep to be written. */
export function described(value: unknown): string {
  try {
    return compactJson(value);
  } catch {
    return `(${typeof value} that cannot be shown)`;
  }
}

/** Freezes plain data in place, all the way down. Not recursive: foreign data may be deep. */
export function deepFreeze<T>(root: T): T {
  const pending: unknown[] = [root];
  while (pending.length > 0) {
    const value = pending.pop();
    if (typeof value !== 'object' || value === null || Object.isFrozen(value)) continue;
    Object.freeze(value);
    for (const inner of Object.values(value)) pending.push(inner);
  }
  return root;
}

/** WAL positions as people and PostgreSQL write them. */

/** `X/Y` in upper-case hex, as PostgreSQL prints a position. */
export function formatLsn(bytes: number): string {
  const high = Math.floor(bytes / 2 ** 32);
  const low = bytes - high * 2 ** 32;
  return `${high.toString(16).toUpperCase()}/${low.toString(16).toUpperCase()}`;
}

/**
 * Position in bytes.
 * @throws RangeError when the text is no position, or lies beyond 2^53 bytes (8 PiB of WAL)
 */
export function parseLsn(text: string): number {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (match === null)
    throw new RangeError(`not a WAL position: ${JSON.stringify(text)}, expected X/Y in hex`);
  const bytes =
    Number.parseInt(match[1] as string, 16) * 2 ** 32 + Number.parseInt(match[2] as string, 16);
  if (!Number.isSafeInteger(bytes))
    throw new RangeError(`WAL position ${text} is beyond 2^53 bytes`);
  return bytes;
}

/** Where things lie in the write-ahead log: records, pages, segments. Bytes everywhere. */

const PAGE = 8192;
const PAGE_HEADER = 24;
/** The first page of a segment has a longer header. */
const SEGMENT_HEADER = 40;
/** A shutdown checkpoint: record header 24, data header 2, CheckPoint 88 (PostgreSQL 13 to 18). */
const SHUTDOWN_CHECKPOINT = 114;

function aligned(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/**
 * First position after a record, as PostgreSQL reports it: aligned to 8 bytes, with the headers of
 * the pages that the record crosses. A record that ends with its page ends where the next begins.
 */
export function recordEnd(start: number, length: number, segmentSize: number): number {
  let position = start;
  let left = aligned(length);
  for (;;) {
    const room = PAGE - (position % PAGE);
    if (left <= room) return position + left;
    left -= room;
    position += room;
    position += position % segmentSize === 0 ? SEGMENT_HEADER : PAGE_HEADER;
  }
}

/** End of a shutdown checkpoint record that starts at `start`: what a candidate must hold (F4). */
export function shutdownCheckpointEnd(start: number, segmentSize: number): number {
  return recordEnd(start, SHUTDOWN_CHECKPOINT, segmentSize);
}

/** Name of the file in pg_wal that has the byte at `lsn`. */
export function segmentName(timeline: number, lsn: number, segmentSize: number): string {
  const number = Math.floor(lsn / segmentSize);
  const perId = 2 ** 32 / segmentSize;
  return [timeline, Math.floor(number / perId), number % perId]
    .map((part) => part.toString(16).toUpperCase().padStart(8, '0'))
    .join('');
}

/**
 * Preloaded into a daemon (NODE_OPTIONS=--import): its wall clock is off by as many ms as the file named
 * in CHAOS_WALL_CLOCK says. Its monotonic clocks, PostgreSQL's and etcd's clocks are left alone.
 */
import { readFileSync, watchFile } from 'node:fs';

const file = process.env.CHAOS_WALL_CLOCK;
const LOOK_EVERY_MS = 100;
const RealDate = Date;
let offsetMs = 0;

function look() {
  try {
    offsetMs = Number(readFileSync(file, 'utf8')) || 0;
  } catch {
    offsetMs = 0;
  }
}

if (file !== undefined) {
  look();
  watchFile(file, { interval: LOOK_EVERY_MS, persistent: false }, look);
  globalThis.Date = class ShiftedDate extends RealDate {
    constructor(...args) {
      if (args.length === 0) super(RealDate.now() + offsetMs);
      else super(...args);
    }
    static now() {
      return RealDate.now() + offsetMs;
    }
  };
}

/** A folder that all labs of one test run share: the first one leaves its initdb there for the others. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'lab-cache-'));
  process.env.TENURE_LAB_CACHE = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}

/** Disks that are too small, full, or mounted as the data directory itself (S7; field D67). */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab, type Node, primary } from './lab.ts';

const run = promisify(execFile);
const OWN_MOUNTS = ['--user', '--map-current-user', '--keep-caps', '--mount'];
const allowed = await run('unshare', [...OWN_MOUNTS, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).then(
  () => true,
  () => false,
);

const lab = new Lab();
let a: Node;
beforeAll(async () => {
  if (allowed) a = await primary(lab, 'a');
});
afterAll(async () => await lab.close());

test.skipIf(!allowed)(
  'a disk for one copy, a full disk, a mount point',
  { timeout: 120_000 },
  async () => {
    const script = new URL('./small-disk-agent.ts', import.meta.url).pathname;
    const args = [...OWN_MOUNTS, process.execPath, script, JSON.stringify(a.upstream)];
    const { stdout } = await run('unshare', args, { timeout: 110_000 });
    const told = JSON.parse(stdout) as Record<string, unknown>;
    const whole = { kind: 'cluster', interrupted: null };
    expect(told.inPlace, 'the second copy had room: nothing was tested').toBe(1);
    // Full: nothing was begun, and nothing is lost.
    expect(told.unmarked).toMatch(/cannot write in .*tenure\.state_dir.*ENOSPC/);
    expect(told.before).toMatchObject(whole);
    expect(told.untouched).toEqual(told.before);
    // Too little: the message says it, and the directory is known to be in pieces until a clone succeeds.
    expect(told.failed).toMatch(/No space left on device/);
    expect(told.pieces).toMatchObject({ interrupted: 'clone' });
    expect(told.repaired).toMatchObject(whole);
    expect(told).toMatchObject({ mounted: true, beside: [] });
  },
);

/** Watchdog devices as far as a machine without one can show them (contract 5.18). */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RealClock } from '../../src/clock.ts';
import { linuxWatchdog, testingWatchdog } from '../../src/fence/watchdog-device.ts';

let folder: string;
let device: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tenure-watchdog.'));
  device = join(folder, 'device');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('the testing driver', () => {
  /** What the FIFO has been told. */
  let read: () => string;
  let reader: number;

  beforeEach(() => {
    execFileSync('mkfifo', [device]);
    reader = openSync(device, constants.O_RDONLY | constants.O_NONBLOCK);
    const buffer = Buffer.alloc(1024);
    read = () => buffer.toString('latin1', 0, readSync(reader, buffer));
  });
  afterEach(() => closeSync(reader));

  it('tells its FIFO the timeout as a line, each keep-alive, and the end', async () => {
    const open = await testingWatchdog(device).open(25);
    expect(read()).toBe('Ctimeout=25\n');
    open.keepAlive();
    await open.retime(15);
    expect(open.timeoutMs).toBe(15_000);
    open.close(true);
    expect(read()).toBe('1Ctimeout=15\nV');
    expect(read()).toBe('');
  });

  it('says nothing at an end that leaves it counting', async () => {
    const open = await testingWatchdog(device).open(25);
    read();
    open.close(false);
    expect(read()).toBe('');
    expect(() => open.keepAlive()).toThrow('is closed');
  });

  it('does not wait for a reader', async () => {
    closeSync(reader);
    await expect(testingWatchdog(device).open(25)).rejects.toThrow('ENXIO');
    reader = openSync(device, constants.O_RDONLY | constants.O_NONBLOCK);
  });
});

describe("the kernel's device", () => {
  /** In the place of bin/tenure-watchdog: says `answer`, and how it was asked on the device. */
  const helped = (answer: string) => {
    writeFileSync(device, '');
    const helper = join(folder, 'helper');
    const asked = join(folder, 'asked');
    writeFileSync(
      helper,
      `open F, '>>', '${asked}'; print F "$ARGV[0] ", readlink('/proc/self/fd/0'), "\\n"; print "${answer}\\n";`,
    );
    return { driver: linuxWatchdog(device, new RealClock(), helper), asked };
  };

  it('is asked by a helper that has it as its standard input', async () => {
    const { driver, asked } = helped('33152 25 Software Watchdog');
    const open = await driver.open(25);
    expect(open).toMatchObject({
      timeoutMs: 25_000,
      identity: 'Software Watchdog',
      magicClose: true,
    });
    open.keepAlive();
    open.close(true);
    const lines = execFileSync('cat', [asked, device], { encoding: 'utf8' });
    expect(lines).toBe(`25 ${device}\n1V`);
  });

  it('that cannot be told the timeout is turned off again', async () => {
    const { driver } = helped('256 60 Fixed');
    await expect(driver.open(25)).rejects.toThrow('waits for 60 s and cannot be told');
    expect(execFileSync('cat', [device], { encoding: 'utf8' })).toBe('V');
  });

  it('that may wait for less than it was asked for has its own time', async () => {
    const open = await helped('128 16 Short').driver.open(25);
    expect(open).toMatchObject({ timeoutMs: 16_000, magicClose: false });
    open.close(true);
  });

  it('that is something else is refused by the helper itself', async () => {
    const driver = linuxWatchdog('/dev/null', new RealClock());
    expect(driver.obstacle()).toBeNull();
    expect(driver.endless()).toBe(false);
    await expect(driver.open(25)).rejects.toThrow(
      /\/dev\/null: perl failed.*WDIOC_GETSUPPORT.*Inappropriate ioctl/,
    );
  });

  it('that is missing is an obstacle', () => {
    expect(linuxWatchdog(device, new RealClock()).obstacle()).toContain('ENOENT');
  });
});

/**
 * One watchdog device, open in this process: whoever ends it leaves the device counting. What only an
 * ioctl can do is done by a helper that inherits the descriptor (bin/tenure-watchdog).
 */
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import type { Clock } from '../clock.ts';
import { messageOf } from '../postgres/disk.ts';
import { failureOf, run } from '../postgres/run.ts';
import { programFile } from './programs.ts';
import { WatchdogError } from './watchdog.ts';

export interface WatchdogDevice {
  /** What it has taken, ms. */
  readonly timeoutMs: number;
  /** Its own name. */
  readonly identity: string;
  /** `V` before closing turns it off. False: a daemon that is killed has turned it off as well. */
  readonly magicClose: boolean;
  /** Nothing turns it off any more (nowayout). */
  readonly endless: boolean;
  /** @throws WatchdogError it does not take it, or something else than it was asked for that is longer */
  retime(seconds: number): Promise<void>;
  /** @throws WatchdogError */
  keepAlive(): void;
  /** `off`: turned off before it is closed. Never throws. */
  close(off: boolean): void;
}

/** Opens devices of one kind. */
export interface WatchdogDriver {
  /** Why the device cannot be opened by this process; null: nothing is known against it. Never waits. */
  obstacle(): string | null;
  /** Nothing would turn it off (nowayout); false when the machine does not tell. */
  endless(): boolean;
  /** Opens it, which starts it, and sets its timeout. @throws WatchdogError */
  open(seconds: number): Promise<WatchdogDevice>;
}

/** For the helper to set a timeout, ms. It takes twenty. */
const HELPER_MS = 2000;
/** <linux/watchdog.h> */
const MAGIC_CLOSE = 0x0100;
/** <linux/miscdevice.h>: /dev/watchdog stands for the first of /dev/watchdog0, 1, … */
const MISCELLANEOUS = 10;

function complaint(device: string, error: unknown): WatchdogError {
  return new WatchdogError(`${device}: ${messageOf(error)}`, { cause: error });
}

class OpenDevice {
  readonly #device: string;
  readonly #file: number;
  #open = true;

  /** @throws WatchdogError */
  constructor(device: string) {
    this.#device = device;
    try {
      // Without O_NONBLOCK a FIFO that nobody reads would hold up the daemon.
      this.#file = openSync(device, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      throw complaint(device, error);
    }
  }

  get file(): number {
    return this.#file;
  }

  /** @throws WatchdogError */
  write(text: string): void {
    if (!this.#open) throw new WatchdogError(`${this.#device} is closed`);
    try {
      writeSync(this.#file, text);
    } catch (error) {
      throw complaint(this.#device, error);
    }
  }

  close(off: boolean): void {
    if (!this.#open) return;
    try {
      if (off) this.write('V');
    } catch {
      // It goes on counting: what a device that cannot be written to does in any case.
    }
    this.#open = false;
    closeSync(this.#file);
  }
}

function obstacle(device: string): string | null {
  try {
    accessSync(device, constants.W_OK);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

/** The kernel's devices. `helper`: another program in the place of bin/tenure-watchdog. */
export function linuxWatchdog(
  device: string,
  clock: Clock,
  helper = programFile('tenure-watchdog') ?? 'bin/tenure-watchdog',
): WatchdogDriver {
  /** OPTIONS TIMEOUT IDENTITY of the open device, after it was asked for `seconds`. */
  const ask = async (file: number, seconds: number) => {
    const request = { file: 'perl', args: [helper, `${seconds}`], clock, timeoutMs: HELPER_MS };
    const result = await run({ ...request, stdin: file });
    const [, options, timeout, identity] = /^(\d+) (\d+) (.*)$/m.exec(result.stdout) ?? [];
    if (result.exitCode !== 0 || timeout === undefined)
      throw new WatchdogError(`${device}: ${failureOf(result, HELPER_MS)}`);
    if (Number(timeout) > seconds)
      throw new WatchdogError(
        `${device} (${identity}) waits for ${timeout} s and cannot be told to wait for ${seconds} s`,
      );
    return {
      options: Number(options),
      timeoutMs: Number(timeout) * 1000,
      identity: identity ?? '',
    };
  };
  const endless = (): boolean => cannotBeTurnedOff(device);
  return {
    obstacle: () => obstacle(device),
    endless,
    open: async (seconds) => {
      const open = new OpenDevice(device);
      try {
        let told = await ask(open.file, seconds);
        const magicClose = (told.options & MAGIC_CLOSE) !== 0;
        return {
          get timeoutMs() {
            return told.timeoutMs;
          },
          identity: told.identity,
          magicClose,
          endless: endless(),
          retime: async (next) => {
            told = await ask(open.file, next);
          },
          keepAlive: () => open.write('1'),
          close: (off) => open.close(off),
        };
      } catch (error) {
        open.close(true);
        throw error;
      }
    },
  };
}

/** As the machine shows it in /sys. */
function cannotBeTurnedOff(device: string): boolean {
  try {
    const { rdev } = statSync(device);
    const [major, minor] = [(rdev >> 8) & 0xfff, (rdev & 0xff) | ((rdev >> 12) & 0xfff00)];
    const folder =
      major === MISCELLANEOUS ? '/sys/class/watchdog/watchdog0' : `/sys/dev/char/${major}:${minor}`;
    return readFileSync(`${folder}/nowayout`, 'latin1').trim() === '1';
  } catch {
    return false;
  }
}

/** `watchdog.driver: testing` (contract 5.18): a FIFO, which is told the timeout as a line. */
export function testingWatchdog(device: string): WatchdogDriver {
  return {
    obstacle: () => obstacle(device),
    endless: () => false,
    open: async (seconds) => {
      const open = new OpenDevice(device);
      let timeoutMs = 0;
      const set = (next: number): void => {
        open.write(`Ctimeout=${next}\n`);
        timeoutMs = next * 1000;
      };
      set(seconds);
      return {
        get timeoutMs() {
          return timeoutMs;
        },
        identity: 'testing',
        magicClose: true,
        endless: false,
        retime: async (next) => set(next),
        keepAlive: () => open.write('1'),
        close: (off) => open.close(off),
      };
    },
  };
}

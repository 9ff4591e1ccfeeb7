/**
 * Keeps the hardware watchdog: active while this node leads, kept alive by proven renewals and by
 * nothing else, turned off on proof that nothing is left to reset the machine for (contract 5.18).
 */
import type { Clock } from '../clock.ts';
import type { WatchdogFacts } from '../core/model.ts';
import {
  keepsTooLong,
  type WatchdogPolicy,
  watchdogSeconds,
  watchdogUnfit,
} from '../core/watchdog.ts';
import { messageOf } from '../postgres/disk.ts';
import { type Watchdog, WatchdogError } from './watchdog.ts';
import type { WatchdogDevice, WatchdogDriver } from './watchdog-device.ts';

/** After it could not be used, ms: meanwhile others lead, where it is required. */
const RETRY_MS = 60_000;
/** For a look at a device that is not open, ms. */
const CHECKED_MS = 1000;
/** One that hears nothing and has not reset the machine by so much after its time does not work, ms. */
const OVERDUE_MS = 2000;

export interface WatchdogKeeperOptions {
  readonly clock: Clock;
  readonly policy: WatchdogPolicy;
  readonly driver: WatchdogDriver;
  /** As the log names it. */
  readonly device: string;
  /** The ttl in force. */
  readonly ttlMs: () => number;
  readonly log: (level: 'info' | 'warning' | 'error' | 'critical', text: string) => void;
  /** Whether it can be used has changed. */
  readonly onChange: (why: string) => void;
}

export class WatchdogKeeper implements Watchdog {
  readonly #options: WatchdogKeeperOptions;
  #device: WatchdogDevice | null = null;
  /** What it was asked for. */
  #seconds = 0;
  /** Monotonic ms. */
  #resetAt: number | null = null;
  /** Opening it, or changing its timeout. */
  #changing: Promise<void> | null = null;
  /** Let go while it was being opened. */
  #unwanted = false;
  #failure: { readonly why: string; readonly at: number } | null = null;
  #checked: { readonly at: number; readonly why: string | null } | null = null;
  #complaint = '';
  /** Ends the keep-alives of a device that nothing turns off; null: it is not fed so. */
  #feeding: (() => void) | null = null;

  constructor(options: WatchdogKeeperOptions) {
    this.#options = options;
  }

  proven(deadline: number): number | null {
    this.#unwanted = false;
    this.#starve();
    if (this.#changing === null) this.#prepare();
    if (this.#device !== null) this.#keepAlive(this.#device, deadline);
    return this.#resetAt;
  }

  async ready(): Promise<void> {
    this.#unwanted = false;
    if (this.#changing === null) this.#prepare();
    await this.#changing;
    if (this.#device === null && this.#options.policy.mode === 'required')
      throw new WatchdogError(this.facts().failure ?? `${this.#options.device} is not active`);
  }

  release(): void {
    this.#unwanted = true;
    const device = this.#device;
    if (device === null || this.#feeding !== null) return;
    if (device.endless) {
      this.#feed(device);
      return;
    }
    this.#letGo(true);
    this.#options.log('info', `the watchdog ${this.#options.device} is turned off`);
  }

  facts(): WatchdogFacts {
    const required = this.#options.policy.mode === 'required';
    const why = required ? this.#whyLately() : this.#failedLately();
    if (required && why !== null) return { state: 'failed', failure: why };
    if (this.#device !== null && this.#feeding === null) return { state: 'active', failure: null };
    return { state: why === null ? 'idle' : 'failed', failure: null };
  }

  close(stopped: boolean): void {
    this.#starve();
    const { log, device } = this.#options;
    const { timeoutMs, endless } = this.#device ?? { timeoutMs: 0, endless: false };
    this.#unwanted = true;
    if (this.#device !== null && (endless || !stopped))
      log(
        'critical',
        `${device} resets this machine in ${timeoutMs} ms: ${endless ? 'nothing turns it off (nowayout)' : 'PostgreSQL may still be running'}`,
      );
    this.#letGo(stopped);
  }

  #failedLately(): string | null {
    const failed = this.#failure;
    return failed !== null && this.#options.clock.now() - failed.at < RETRY_MS ? failed.why : null;
  }

  /** Health checks ask as well, and cost nothing (rule F6). */
  #whyLately(): string | null {
    const now = this.#options.clock.now();
    if (this.#checked === null || now - this.#checked.at >= CHECKED_MS)
      this.#checked = { at: now, why: this.#why() };
    return this.#checked.why;
  }

  /** Why it cannot be used; null: nothing is known against it. */
  #why(): string | null {
    const { device, driver, policy, ttlMs } = this.#options;
    const failed = this.#failedLately();
    if (failed !== null) return failed;
    if (this.#device !== null) return null;
    const obstacle = driver.obstacle();
    if (obstacle !== null) return `the watchdog ${device} cannot be used: ${obstacle}`;
    if (policy.mode === 'automatic' && driver.endless())
      return `the watchdog ${device} is left alone: nothing turns it off again (nowayout), so a planned stop would end in a reset; watchdog.mode: required uses it all the same`;
    const seconds = watchdogSeconds(ttlMs(), policy);
    const unfit = watchdogUnfit(seconds * 1000, ttlMs());
    return unfit === null ? null : `the watchdog ${device} cannot be used: ${unfit}`;
  }

  /** Opens it, or gives it the timeout of a new ttl. */
  #prepare(): void {
    const { policy, ttlMs } = this.#options;
    const seconds = watchdogSeconds(ttlMs(), policy);
    const device = this.#device;
    if (device !== null && seconds === this.#seconds) return;
    const why = this.#why();
    if (why !== null) {
      if (this.#failedLately() === null) this.#fail(why);
      return;
    }
    this.#changing = (device === null ? this.#open(seconds) : this.#retime(device, seconds))
      .catch((error: unknown) => this.#fail(messageOf(error)))
      .finally(() => {
        this.#changing = null;
      });
  }

  async #open(seconds: number): Promise<void> {
    const { clock, device: name, driver, log, onChange, ttlMs } = this.#options;
    const openedAt = clock.now();
    const device = await driver.open(seconds);
    const unfit = watchdogUnfit(device.timeoutMs, ttlMs());
    if (unfit !== null || this.#unwanted) {
      device.close(true);
      if (unfit !== null) throw new WatchdogError(`the watchdog ${name} cannot be used: ${unfit}`);
      return;
    }
    this.#device = device;
    this.#seconds = seconds;
    this.#resetAt = openedAt + device.timeoutMs;
    this.#failure = null;
    this.#checked = null;
    this.#complaint = '';
    log(
      'info',
      `the watchdog ${name} (${device.identity}) is active with a timeout of ${device.timeoutMs} ms`,
    );
    if (!device.magicClose)
      log(
        'warning',
        `${name} is turned off by closing it: a daemon that is killed is left to the guard`,
      );
    onChange('the watchdog is active');
  }

  async #retime(device: WatchdogDevice, seconds: number): Promise<void> {
    const { clock, device: name, log } = this.#options;
    // What was heard under the former timeout says nothing of the new one.
    const heardAt = (this.#resetAt ?? clock.now()) - device.timeoutMs;
    try {
      await device.retime(seconds);
      const unfit = watchdogUnfit(device.timeoutMs, this.#options.ttlMs());
      if (unfit !== null) throw new WatchdogError(`the watchdog ${name} cannot be used: ${unfit}`);
    } catch (error) {
      if (this.#device === device) this.#letGo(true);
      throw error;
    }
    this.#seconds = seconds;
    if (this.#device === device) this.#resetAt = heardAt + device.timeoutMs;
    log('info', `the watchdog ${name} has a timeout of ${device.timeoutMs} ms now`);
  }

  #keepAlive(device: WatchdogDevice, deadline: number): void {
    const now = this.#options.clock.now();
    if (keepsTooLong(now, device.timeoutMs, deadline)) return;
    try {
      device.keepAlive();
      this.#resetAt = now + device.timeoutMs;
    } catch (error) {
      // It goes on counting: PostgreSQL is stopped before it resets the machine, unless a later one is heard.
      this.#fail(messageOf(error));
      if (this.#resetAt !== null && now > this.#resetAt + OVERDUE_MS) this.#letGo(false);
    }
  }

  #fail(why: string): void {
    const text = why.includes(this.#options.device) ? why : `${this.#options.device}: ${why}`;
    this.#failure = { why: text, at: this.#options.clock.now() };
    this.#checked = null;
    this.#complain(text);
    this.#options.onChange('the watchdog cannot be used');
  }

  #complain(text: string): void {
    const { log, policy, driver } = this.#options;
    // Most machines have none, and by default one is used only where there is one.
    const missing = driver.obstacle()?.includes('ENOENT') === true;
    const level = policy.mode === 'required' ? 'error' : missing ? 'info' : 'warning';
    if (text !== this.#complaint) log(level, text);
    this.#complaint = text;
  }

  #letGo(off: boolean): void {
    this.#device?.close(off);
    this.#device = null;
    this.#resetAt = null;
  }

  /** It would reset a machine on which there is nothing to fence. */
  #feed(device: WatchdogDevice): void {
    const { clock, device: name, log } = this.#options;
    log(
      'warning',
      `nothing turns the watchdog ${name} off (nowayout): it is kept alive while this daemon runs, and resets the machine ${device.timeoutMs} ms after it`,
    );
    const next = (): void => {
      try {
        device.keepAlive();
        this.#resetAt = clock.now() + device.timeoutMs;
      } catch (error) {
        this.#fail(messageOf(error));
      }
      this.#feeding = clock.after(device.timeoutMs / 4, next);
    };
    next();
  }

  #starve(): void {
    this.#feeding?.();
    this.#feeding = null;
  }
}

/** synchronous_standby_names in the file: nothing but the leader's own step weakens it (rule S2; C-5.15). */
import { describe, expect, it } from 'vitest';
import { PLACEHOLDER } from '../../src/core/guarantee.ts';
import { SynchronousNames } from '../../src/postgres/names.ts';

const line = (value: string): string => `synchronous_standby_names = '${value}'\n`;
const user = { parameters: { synchronous_standby_names: 'mine' }, synchronous: false };
const on = { parameters: { synchronous_standby_names: 'mine' }, synchronous: true };
const off = { parameters: {}, synchronous: false };
const value = (parameters: Readonly<Record<string, string>>): string | undefined =>
  parameters.synchronous_standby_names;

describe('while synchronous mode is on', () => {
  it('an agent that has just begun keeps what a running primary has', () => {
    const names = new SynchronousNames();
    expect(value(names.parameters(on, 'primary', line('"n2"')))).toBe('"n2"');
  });

  it('what the leader set stands, whatever is in the file', () => {
    const names = new SynchronousNames();
    names.set('"n3"');
    expect(value(names.parameters(on, 'primary', line('"n2"')))).toBe('"n3"');
  });

  it('a standby begins with nobody, and so does one that was a primary', () => {
    const names = new SynchronousNames();
    expect(value(names.parameters(on, 'standby', line('"n2"')))).toBe(`"${PLACEHOLDER}"`);
    names.set('"n3"');
    expect(value(names.parameters(on, 'standby', ''))).toBe('"n3"');
    names.startsAsStandby();
    expect(value(names.parameters(on, 'standby', ''))).toBe(`"${PLACEHOLDER}"`);
  });

  it('D39: a crash ends the server, unless the user says otherwise', () => {
    const names = new SynchronousNames();
    const before = line('"n2"');
    expect(names.parameters(on, 'primary', before).restart_after_crash).toBe('off');
    const own = { ...on, parameters: { restart_after_crash: 'on' } };
    expect(names.parameters(own, 'primary', before).restart_after_crash).toBe('on');
  });
});

describe('when it is off', () => {
  it("the user's own names are theirs", () => {
    const names = new SynchronousNames();
    expect(value(names.parameters(user, 'primary', line('mine')))).toBe('mine');
    expect(
      value(names.parameters(off, 'primary', line('mine').replace('mine', ''))),
    ).toBeUndefined();
  });

  it('S2: turned off, a primary keeps the names until the leader lets them go', () => {
    const names = new SynchronousNames();
    names.set('"n2"');
    expect(value(names.parameters(user, 'primary', line('"n2"')))).toBe('"n2"');
    names.set(null);
    expect(value(names.parameters(user, 'primary', line('"n2"')))).toBe('mine');
  });

  it('S2: and so does one whose agent has just begun', () => {
    const names = new SynchronousNames();
    expect(value(names.parameters(user, 'primary', line('"n2"')))).toBe('"n2"');
    expect(value(new SynchronousNames().parameters(off, 'primary', line('"n2"')))).toBe('"n2"');
  });

  it('a standby acknowledges nothing, so the names go at once', () => {
    const names = new SynchronousNames();
    expect(value(names.parameters(user, 'standby', line('"n2"')))).toBe('mine');
    expect(value(names.parameters(off, 'primary', line('')))).toBeUndefined();
  });
});

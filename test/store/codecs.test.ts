import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  decodeFailover,
  decodeHistory,
  decodeStatus,
  decodeSync,
  encodeHistory,
  encodeStatus,
} from '../../src/store/codecs.ts';
import { compactJson } from '../../src/store/json.ts';
import { keysOf, memberName } from '../../src/store/keys.ts';
import type { KeyValue } from '../../src/store/keyvalue.ts';
import { decodeMember, decodeTags, encodeMember } from '../../src/store/members.ts';
import { decodeClaims, decodeHandover } from '../../src/store/ours.ts';
import { decodeView } from '../../src/store/view.ts';

const keys = keysOf('service', 'bench');
const ignore = (): void => undefined;

function kv(key: string, value: string): KeyValue {
  return { key, value, createRevision: 3, modRevision: 7, leaseId: null };
}

/** What a real Patroni cluster wrote: lines of key and value in turns. */
function fixture(name: string): Map<string, string> {
  const lines = readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8').split('\n');
  const values = new Map<string, string>();
  for (const [at, line] of lines.entries()) {
    if (line.startsWith('/service/') && !line.includes(' ')) values.set(line, lines[at + 1] ?? '');
  }
  return values;
}

function viewOf(values: Map<string, string>): ReturnType<typeof decodeView> {
  return decodeView(
    keys,
    9,
    [...values].map(([key, value]) => kv(key, value)),
  );
}

describe.each(['etcd-after-switchover.txt', 'etcd-sync-failsafe.txt'])('%s', (name) => {
  const values = fixture(name);
  const view = viewOf(values);

  test('is understood without a problem', () => {
    expect(values.size).toBeGreaterThan(7);
    expect(view.problems).toEqual([]);
    expect(view.members.map((member) => member.name)).toEqual(['n1', 'n2', 'n3']);
    expect(view.leader?.name).toMatch(/^n[13]$/);
    expect(view.initialize).toEqual({
      kind: 'initialized',
      systemIdentifier: '7710215941031662088',
      modRevision: 7,
    });
    expect(view.failover).toBeNull();
    expect(view.sync).toMatchObject({ leader: view.leader?.name, quorum: 0 });
  });

  test('is written again byte for byte', () => {
    for (const member of view.members) {
      expect(encodeMember(member)).toBe(values.get(`/service/bench/members/${member.name}`));
    }
    const { optime, slots, retainSlots } = view.status;
    expect(encodeStatus({ optime: optime ?? -1, slots, retainSlots })).toBe(
      values.get(keys.status),
    );
    if (view.history) expect(encodeHistory(view.history)).toBe(values.get(keys.history));
    if (view.config.kind !== 'valid') throw new Error('no configuration');
    expect(compactJson(view.config.values)).toBe(values.get(keys.config));
  });

  test('is frozen all the way down', () => {
    expect(Object.isFrozen(view)).toBe(true);
    expect(Object.isFrozen(view.members[0]?.tags.raw)).toBe(true);
    expect(Object.isFrozen(view.status.retainSlots)).toBe(true);
  });
});

test('names of keys: slashes collapse, other scopes are not below the prefix', () => {
  expect(keysOf('/service/', 'batman').leader).toBe('/service/batman/leader');
  expect(keysOf('', 'batman').base).toBe('/batman');
  expect(keysOf('a//b', 'c').prefix).toBe('/a/b/c/');
  expect(memberName(keys, '/service/bench/members/n1')).toBe('n1');
  expect(memberName(keys, '/service/bench/members/n1/x')).toBeNull();
  expect(memberName(keys, '/service/bench/members/')).toBeNull();
  expect(memberName(keys, '/service/bench2/members/n1')).toBeNull();
});

describe('what Patroni tolerates is tolerated', () => {
  test.each([
    ['4711', null, { optime: 4711, slots: {}, retainSlots: [] }, 0],
    ['{"optime":4711}', null, { optime: 4711, slots: {}, retainSlots: [] }, 0],
    ['{"optime":"4711"}', null, { optime: 4711, slots: {}, retainSlots: [] }, 0],
    [
      '{"optime":1,"slots":"{\\"a\\":\\"5\\"}","retain_slots":"[\\"a\\"]"}',
      null,
      { optime: 1, slots: { a: 5 }, retainSlots: ['a'] },
      0,
    ],
    [null, '4711', { optime: 4711, slots: {}, retainSlots: [] }, 0],
    [null, null, { optime: null, slots: {}, retainSlots: [] }, 0],
    ['nonsense', '4711', { optime: 4711, slots: {}, retainSlots: [] }, 1],
    ['[]', 'nonsense', { optime: null, slots: {}, retainSlots: [] }, 2],
    [
      '{"optime":1,"slots":{"a":5,"b":"x"}}',
      null,
      { optime: 1, slots: { a: 5 }, retainSlots: [] },
      1,
    ],
    [
      '{"optime":1,"slots":7,"retain_slots":[1]}',
      null,
      { optime: 1, slots: {}, retainSlots: [] },
      2,
    ],
  ])('status %j, optime %j', (status, optime, expected, problems) => {
    const reports: string[] = [];
    const report = (found: string): void => void reports.push(found);
    expect(decodeStatus(status ?? undefined, optime ?? undefined, report, report)).toEqual(
      expected,
    );
    expect(reports).toHaveLength(problems);
  });

  test.each([
    ['{}', null, 0],
    ['', null, 0],
    ['{"leader":"a","member":"b"}', { leader: 'a', candidate: 'b', scheduledAt: null }, 0],
    ['{"member":"b","unknown":1}', { leader: null, candidate: 'b', scheduledAt: null }, 0],
    [
      '{"leader":"a","scheduled_at":"2026-07-02T03:00:00+00:00"}',
      { leader: 'a', candidate: null, scheduledAt: '2026-07-02T03:00:00+00:00' },
      0,
    ],
    ['a:b', { leader: 'a', candidate: 'b', scheduledAt: null }, 0],
    [' a : b ', { leader: 'a', candidate: 'b', scheduledAt: null }, 0],
    ['a', { leader: 'a', candidate: null, scheduledAt: null }, 0],
    [':b', { leader: null, candidate: 'b', scheduledAt: null }, 0],
    ['{"leader":', null, 1],
    ['[]', null, 1],
    ['{"leader":7}', null, 1],
    ['7', null, 1],
  ])('failover %j', (value, expected, problems) => {
    const reports: string[] = [];
    const decoded = decodeFailover(kv('f', value), (found) => void reports.push(found));
    expect(decoded).toEqual(expected && { ...expected, modRevision: 7 });
    expect(reports).toHaveLength(problems);
  });

  test.each([
    ['{"leader":"a","quorum":0,"sync_standby":"b,c"}', 'a', ['b', 'c'], 0, 0],
    ['{"leader":null,"quorum":0,"sync_standby":null}', null, [], 0, 0],
    ['{"leader":"a","sync_standby":null}', 'a', [], 0, 0],
    ['', null, [], 0, 0],
    ['nonsense', null, [], 0, 1],
    ['{"leader":"a","quorum":"x","sync_standby":"b"}', null, [], 0, 1],
    ['{"leader":["a"]}', null, [], 0, 1],
  ])(
    'sync %j is never read as absent, nor as empty',
    (value, leader, standbys, quorum, problems) => {
      const reports: string[] = [];
      const decoded = decodeSync(kv('s', value), (found) => void reports.push(found));
      const unreadable = problems > 0 && { unreadable: true };
      expect(decoded).toEqual({ leader, standbys, quorum, modRevision: 7, ...unreadable });
      expect(reports).toHaveLength(problems);
    },
  );

  test('history: three to five columns; none of it when a row is broken', () => {
    const text =
      '[[1,67108976,"no recovery target specified"],[2,5,"x","2026-07-01T10:00:00+00:00"]]';
    const history = decodeHistory(text, ignore);
    expect(history).toHaveLength(2);
    expect(encodeHistory(history ?? [])).toBe(text);
    expect(decodeHistory('[]', ignore)).toEqual([]);
    for (const broken of ['', '{}', '[1]', '[[1,5,"a"],[2]]', '[[0,5,"a"]]', '[[1,-5,"a"]]']) {
      const reports: string[] = [];
      expect(decodeHistory(broken, (found) => void reports.push(found))).toBeNull();
      expect(reports).toHaveLength(1);
    }
  });

  test('members: legacy address, old role words, broken JSON', () => {
    const legacy = decodeMember(
      'postgres://10.0.0.1:5432/postgres?application_name=http://10.0.0.1:8008/patroni',
      ignore,
    );
    expect(legacy).toMatchObject({
      connUrl: 'postgres://10.0.0.1:5432/postgres',
      apiUrl: 'http://10.0.0.1:8008/patroni',
    });
    expect(decodeMember('{"role":"master"}', ignore).role).toBe('primary');
    expect(decodeMember('{"checkpoint_after_promote":false}', ignore)).toMatchObject({
      checkpointAfterPromote: false,
    });
    const reports: string[] = [];
    const broken = decodeMember('{"state"', (found) => void reports.push(found));
    expect(broken).toMatchObject({ connUrl: null, state: '', role: '', position: null });
    expect(reports).toEqual(['{"state"']);
  });

  test('members: fields of the wrong type are unknown and reported', () => {
    const reports: string[] = [];
    const member = decodeMember(
      '{"state":5,"xlog_location":"x","timeline":-1,"tags":7,"tenure":{"version":1}}',
      (found) => void reports.push(found),
    );
    expect(member).toMatchObject({ state: '', position: null, timeline: null, tenure: null });
    expect(reports).toHaveLength(3);
  });

  test.each([0, -1, 1.5, 2 ** 31, 2 ** 53, 1e300, '7'])('no timeline: %j', (timeline) => {
    const found: string[] = [];
    const report = (what: string): void => void found.push(what);
    const text = JSON.stringify({ state: 'running', timeline, leader: 'n1' });
    expect(decodeMember(text, report)).toMatchObject({ state: 'running', timeline: null });
    expect(decodeHistory(JSON.stringify([[timeline, 5, 'x']]), report)).toBeNull();
    expect(decodeHandover(kv('h', text), report)).toMatchObject({ leader: 'n1', timeline: null });
    const claims = JSON.stringify([
      [3, 'n1'],
      [timeline, 'n2'],
      [4, 'n3'],
    ]);
    expect(decodeClaims(kv('t', claims), report)?.claims).toEqual([
      [3, 'n1'],
      [4, 'n3'],
    ]);
    expect(found).toHaveLength(4);
    expect(found.at(-1)).toBe(JSON.stringify([timeline, 'n2']));
  });

  test('the highest timeline there can be', () => {
    const timeline = 2 ** 31 - 1;
    const never = (what: string): never => expect.fail(what);
    expect(decodeMember(JSON.stringify({ timeline }), never).timeline).toBe(timeline);
    expect(decodeHistory(`[[${timeline},5,"x"]]`, never)).toHaveLength(1);
    expect(decodeClaims(kv('t', `[[${timeline},"n1"]]`), never)?.claims).toHaveLength(1);
  });

  test.each([-1, 0.5, 2 ** 53])('no position: %j', (lsn) => {
    const found: string[] = [];
    const report = (what: string): void => void found.push(what);
    const fields = { xlog_location: lsn, replay_lsn: lsn, receive_lsn: lsn };
    expect(decodeMember(JSON.stringify(fields), report)).toMatchObject({
      position: null,
      replayLsn: null,
      receiveLsn: null,
    });
    const marker = JSON.stringify({ leader: 'n1', floor_lsn: lsn });
    expect(decodeHandover(kv('h', marker), report)?.floorLsn).toBeNull();
    const status = JSON.stringify({ optime: lsn, slots: { a: lsn, b: 5 } });
    expect(decodeStatus(status, undefined, report, report)).toMatchObject({
      optime: null,
      slots: { b: 5 },
    });
    expect(decodeStatus(String(lsn), undefined, report, report).optime).toBeNull();
    expect(found).toHaveLength(7);
  });

  test.each([
    [{}, false, 1],
    [{ nofailover: true }, true, 1],
    [{ nofailover: 'true' }, true, 1],
    [{ failover_priority: 0 }, true, 0],
    [{ failover_priority: '2' }, false, 2],
    [{ nofailover: false, failover_priority: 0 }, false, 1],
    [{ failover_priority: { toString: 1 }, nofailover: { toString: 1 } }, false, 1],
  ])('tags %j', (raw, nofailover, failoverPriority) => {
    expect(decodeTags(raw)).toMatchObject({ nofailover, failoverPriority });
  });

  test.each([
    [{}, false, 1],
    [{ nosync: true, sync_priority: 5 }, true, 5],
    [{ sync_priority: 0 }, true, 0],
    [{ sync_priority: '2' }, false, 2],
    [{ nosync: false, sync_priority: 0 }, false, 1],
    [{ nosync: { x: 1 }, sync_priority: 'much' }, false, 1],
  ])('tags %j as a synchronous standby', (raw, nosync, syncPriority) => {
    expect(decodeTags(raw)).toMatchObject({ nosync, syncPriority });
  });
});

describe('what cannot be read is reported and not absent', () => {
  const view = viewOf(
    new Map([
      [keys.initialize, 'nonsense'],
      [keys.leader, ''],
      [keys.config, '[1'],
      [keys.timeline, '[[4,"n1"],"x"]'],
      [keys.handover, 'x'.repeat(200)],
      [keys.unconfirmed, '{"leader":"n1","timeline":1,"lsn":5,"count":0}'],
      [keys.sync, '{'],
      [`${keys.members}n1`, '\u0000'],
    ]),
  );

  test('values', () => {
    expect(view.initialize).toMatchObject({ kind: 'garbage', text: 'nonsense' });
    expect(view.leader).toMatchObject({ name: '' });
    expect(view.config).toMatchObject({ kind: 'garbage', text: '[1' });
    expect(view.timelines).toEqual({ claims: [[4, 'n1']], modRevision: 7 });
    expect(view.handover).toMatchObject({ leader: '', floorLsn: null });
    expect(view.unconfirmed).toBeNull();
    expect(view.sync).not.toBeNull();
    expect(view.members).toHaveLength(1);
  });

  test('one line for each key: which, what was found, what is allowed', () => {
    expect(view.problems).toHaveLength(8);
    expect(view.problems).toContain('config: found "[1", allowed: a JSON object');
    for (const line of view.problems) {
      expect(line).toMatch(/^[a-z/0-9]+: found ".*", allowed: .+$/);
      expect(line.length).toBeLessThan(200);
    }
  });

  test('claims that are garbage altogether', () => {
    expect(decodeClaims(kv('t', 'nonsense'), ignore)).toEqual({ claims: [], modRevision: 7 });
    expect(decodeClaims(undefined, ignore)).toBeNull();
  });
});

test('members: order of the fields, ASCII only, more fields where they belong', () => {
  const record = decodeMember('{"state":"running","role":"primary"}', ignore);
  const extra = {
    scheduled_restart: { schedule: 'x' },
    proxy_url: 'p',
    own: 1,
    tenure: { clone: 5 },
  };
  const text = encodeMember({
    ...record,
    connUrl: 'ü',
    tags: decodeTags({ clonefrom: true }),
    pendingRestart: true,
    timeline: 3,
    pause: true,
    tenure: { version: '0.1.0', incarnation: 'i' },
    extra,
  });
  expect(text).toBe(
    '{"conn_url":"\\u00fc","state":"running","role":"primary","proxy_url":"p",' +
      '"tags":{"clonefrom":true},"pending_restart":true,"timeline":3,' +
      '"scheduled_restart":{"schedule":"x"},"pause":true,"own":1,' +
      '"tenure":{"version":"0.1.0","incarnation":"i","clone":5}}',
  );
});

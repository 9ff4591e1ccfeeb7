/** Where the operator's own programs are configured: for all members, or for one. */
import { describe, expect, it } from 'vitest';
import { effectiveSettings, loadConfig } from '../../src/config/index.ts';
import { file, MINIMAL } from './files.ts';

describe("the operator's own programs", () => {
  const local = '  pre_promote: fence --local\n  callbacks: {on_stop: mail}\n  data_dir';
  const dynamic = {
    postgresql: {
      pre_promote: 'fence',
      before_stop: 'drain',
      callbacks: { on_role_change: 'vip' },
    },
  };

  it.each<[string, Record<string, unknown>, string, object]>([
    ['are none', {}, '  data_dir', { prePromote: null, beforeStop: null, callbacks: {} }],
    [
      'are those of /config',
      dynamic,
      '  data_dir',
      { prePromote: 'fence', beforeStop: 'drain', callbacks: { on_role_change: 'vip' } },
    ],
    [
      'but for those of the member',
      dynamic,
      local,
      { prePromote: 'fence --local', beforeStop: 'drain', callbacks: { on_stop: 'mail' } },
    ],
  ])('%s', (_what, config, section, scripts) => {
    const text = MINIMAL.replace('  data_dir', section);
    const found = effectiveSettings(loadConfig(file(text), {}).config, config, {
      allMembersRunTenure: true,
    });
    expect(found.scripts).toEqual(scripts);
    expect(found.warnings).toEqual([]);
  });
});

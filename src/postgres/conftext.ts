/** The syntax of postgresql.conf: one value, one line, the lines that are settings. */

/** In single quotes, with ' and \ doubled; a line break cannot stand in a line as it is. */
export function quoteSetting(value: string): string {
  const escaped = value.replace(/\\/g, '\\\\').replace(/'/g, "''").replace(/\n/g, '\\n');
  return `'${escaped}'`;
}

/** The value that a server reads from the right side of a line. */
export function unquoteSetting(text: string): string {
  const inner = /^'(.*)'$/s.exec(text.trim())?.[1];
  if (inner === undefined) return text.trim();
  return inner.replace(/''|\\([0-7]{1,3}|[\s\S])/g, (all: string, code: string | undefined) => {
    if (all === "''" || code === undefined) return "'";
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8) & 0xff);
    const named: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };
    return named[code] ?? code;
  });
}

export function settingLine(name: string, value: string): string {
  return `${name} = ${quoteSetting(value)}`;
}

/** Name and raw value of a line, comment cut off; null for comments, includes and blank lines. */
export function parseSettingLine(line: string): { name: string; value: string } | null {
  const match =
    /^\s*([A-Za-z_][\w.$]*)\s*(?:=\s*|\s)((?:'(?:[^'\\]|\\.|'')*'|[^\s#']\S*))\s*(?:#.*)?$/.exec(
      line,
    );
  if (match === null || /^include(?:_dir|_if_exists)?$/i.test(match[1] as string)) return null;
  return { name: (match[1] as string).toLowerCase(), value: match[2] as string };
}

/** Value of the last line that sets `name`; null when none does. */
export function readSetting(text: string, name: string): string | null {
  let value: string | null = null;
  for (const line of text.split('\n')) {
    const setting = parseSettingLine(line);
    if (setting?.name === name) value = unquoteSetting(setting.value);
  }
  return value;
}

const RECOVERY_SETTINGS: ReadonlySet<string> = new Set([
  'archive_cleanup_command',
  'primary_conninfo',
  'primary_slot_name',
  'promote_trigger_file',
  'recovery_end_command',
  'recovery_min_apply_delay',
  'recovery_target',
  'recovery_target_action',
  'recovery_target_inclusive',
  'recovery_target_lsn',
  'recovery_target_name',
  'recovery_target_time',
  'recovery_target_timeline',
  'recovery_target_xid',
  'restore_command',
  'standby_mode',
  'trigger_file',
]);

export function isRecoverySetting(name: string): boolean {
  return RECOVERY_SETTINGS.has(name.toLowerCase());
}

/** The text of postgresql.auto.conf without what we say in `# recovery.conf` (C-6.5). */
export function withoutRecoverySettings(text: string): string {
  return text
    .split('\n')
    .filter((line) => {
      const setting = parseSettingLine(line);
      return setting === null || !isRecoverySetting(setting.name);
    })
    .join('\n');
}

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { layOut } from '../src/log/layout.ts';
import { createLogger, type LogOptions, logOptions } from '../src/log.ts';
import { folder } from './config/files.ts';

/** What is written for `work`, as it stands in the file. */
async function written(
  options: Partial<LogOptions>,
  work: (log: ReturnType<typeof createLogger>) => void,
): Promise<string> {
  const path = join(folder(), 'log');
  const fd = openSync(path, 'a');
  const log = createLogger({ type: 'plain', level: 'INFO', ...options }, fd);
  work(log);
  expect(await log.close()).toBe(true);
  closeSync(fd);
  return readFileSync(path, 'utf8');
}

describe('plain lines', () => {
  it('have the layout of Patroni, levels included', async () => {
    const text = await written({ level: 'DEBUG' }, (log) => {
      log.debug('one');
      log.info('two');
      log.warning('three');
      log.error('four');
      log.critical('five');
    });
    const lines = text.trimEnd().split('\n');
    for (const line of lines)
      expect(line).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+: [a-z]+$/);
    expect(lines.map((line) => line.slice(24))).toEqual([
      'DEBUG: one',
      'INFO: two',
      'WARNING: three',
      'ERROR: four',
      'CRITICAL: five',
    ]);
  });

  it('show local time to the millisecond', () => {
    const line = { time: new Date(2026, 6, 1, 12, 0, 0, 123), level: 'INFO', message: 'text' };
    expect(layOut(line, '%(asctime)s %(levelname)s: %(message)s', undefined)).toBe(
      '2026-07-01 12:00:00,123 INFO: text',
    );
    expect(
      layOut(
        line,
        '%(asctime)s [%(levelname)-8s] %(name)s %(process)d %(message)s 100%%',
        '%d/%b/%y %I%p',
      ),
    ).toBe(`01/Jul/26 12PM [INFO    ] tenure ${process.pid} text 100%`);
  });

  it('cannot be forged by what a message holds', async () => {
    const text = await written({}, (log) =>
      log.info('a\n2026-07-01 12:00:00,123 CRITICAL: forged'),
    );
    expect(text.trimEnd().split('\n')[1]).toBe('    2026-07-01 12:00:00,123 CRITICAL: forged');
  });

  it('below the level are not written', async () => {
    expect(await written({ level: 'WARN' }, (log) => log.info('no'))).toBe('');
    expect(await written({ level: 'FATAL' }, (log) => log.error('no'))).toBe('');
  });
});

describe('JSON lines', () => {
  it('are objects with time, level, message and fields', async () => {
    const text = await written({ type: 'json', staticFields: { app: 'x' } }, (log) =>
      log.warning('text', { rule: 'lead.keep', n: 1 }),
    );
    const { time, ...rest } = JSON.parse(text) as Record<string, unknown>;
    expect(rest).toEqual({ app: 'x', level: 'WARNING', message: 'text', rule: 'lead.keep', n: 1 });
    expect(String(time)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });
});

describe('secrets', () => {
  it('are hidden by the name of the field, however deep', async () => {
    const text = await written({ type: 'json' }, (log) =>
      log.info('text', {
        a: [{ password: 'p1', PGPASSFILE: 'p2', headers: { Authorization: 'p3' }, user: 'seen' }],
      }),
    );
    expect(text).not.toMatch(/p1|p2|p3/);
    expect(text).toContain('seen');
  });

  it.each(['plain', 'json'] as const)(
    'are hidden by their value, wherever it is, in %s lines',
    async (type) => {
      const text = await written({ type, secrets: ['s3cr.t"x', 'boss'] }, (log) => {
        log.error('postgres://boss:s3cr.t"x@host', {
          error: new Error('with s3cr.t"x', { cause: new Error('boss') }),
        });
        log.hide(['later']);
        log.info('bosses later');
      });
      expect(text).toContain('postgres://***:***@host');
      expect(text).not.toContain('s3cr.t');
      expect(text).not.toMatch(/"boss"/);
      // A short password may be part of other words.
      expect(text).toContain('bosses ***');
    },
  );

  it('do not end in circles', async () => {
    const circle: Record<string, unknown> = { n: 1n };
    circle.self = circle;
    expect(await written({ type: 'json' }, (log) => log.info('text', circle))).toContain('"n":"1"');
  });
});

describe('the log section', () => {
  it('is followed as far as it can be', () => {
    expect(logOptions({ type: 'plain', level: 'INFO', format: '%(message)s' }).options.format).toBe(
      '%(message)s',
    );
    expect(logOptions({ type: 'plain', level: 'INFO', format: '%(bogus)s' }).warnings).toEqual([
      'log.format: bogus is not known: written as it stands',
    ]);
    expect(logOptions({ type: 'plain', level: 'INFO', format: ['message'] }).warnings).toHaveLength(
      1,
    );
  });
});

/** A process that logs `lines` lines of about 100 characters, then ends; says on stderr how it fared. */
const PROGRAM = `
import { createLogger } from ${JSON.stringify(join(import.meta.dirname, '../src/log.ts'))};
const log = createLogger({ type: 'plain', level: 'INFO', maximumWaiting: 200_000 });
let longest = 0;
let before = performance.now();
const ticks = setInterval(() => {
  const now = performance.now();
  longest = Math.max(longest, now - before);
  before = now;
}, 10);
for (let round = 0; round < 40; round++) {
  for (let line = 0; line < Number(process.argv[1]) / 40; line++) log.info('x'.repeat(70) + ' line ' + (round * 1000 + line));
  await new Promise((resolve) => setTimeout(resolve, 10));
}
await new Promise((resolve) => setTimeout(resolve, Number(process.argv[2])));
clearInterval(ticks);
const closing = performance.now();
const flushed = await log.close();
process.stderr.write(JSON.stringify({ longest, flushed, closing: performance.now() - closing }));
process.exit(7);
`;

interface Fared {
  readonly longest: number;
  readonly flushed: boolean;
  readonly closing: number;
}

/** Runs the program with its output in a shell's pipeline: a real pipe, not Node's socket pair. */
function pipedInto(
  reader: string,
  lines: number,
  pauseMs: number,
): Promise<{
  readonly fared: Fared;
  readonly output: string;
  readonly code: number;
  readonly ms: number;
}> {
  const directory = folder();
  const program = `"$NODE" --input-type=module -e "$PROGRAM" ${lines} ${pauseMs} 2>${directory}/fared; echo $? >${directory}/code; date +%s%3N >${directory}/ended`;
  const started = Date.now();
  return new Promise((resolve, reject) => {
    execFile(
      'bash',
      ['-c', `{ ${program}; } | ${reader}`],
      { env: { ...process.env, NODE: process.execPath, PROGRAM }, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout) => {
        if (error) return reject(error);
        const read = (name: string): string => readFileSync(join(directory, name), 'utf8');
        resolve({
          fared: JSON.parse(read('fared')) as Fared,
          output: stdout,
          code: Number(read('code')),
          ms: Number(read('ended')) - started,
        });
      },
    );
  });
}

describe('a reader', () => {
  it('that stalls costs lines, never time, and does not hold up the end', async () => {
    // The reader lives on, and reads nothing, long after the program is through.
    const { fared, code, ms } = await pipedInto('sleep 6', 8000, 0);
    expect(fared.longest).toBeLessThan(250);
    expect(fared.flushed).toBe(false);
    expect(fared.closing).toBeLessThan(400);
    expect(code).toBe(7);
    expect(ms).toBeLessThan(5000);
  }, 15_000);

  it('that wakes up is told how many lines were dropped', async () => {
    const { fared, output } = await pipedInto('{ sleep 1.5; cat; }', 8000, 2500);
    const told = /WARNING: (\d+) lines of the log were dropped/.exec(output);
    expect(fared.flushed).toBe(true);
    expect(told).not.toBeNull();
    expect(output.match(/ line \d+$/gm)?.length).toBe(8000 - Number(told?.[1]));
  }, 15_000);

  it('that went away is done without', async () => {
    const { fared, code } = await pipedInto('true', 8000, 0);
    expect(code).toBe(7);
    expect(fared.longest).toBeLessThan(250);
  }, 15_000);

  it('that reads gets everything in order', async () => {
    const { output } = await pipedInto('cat', 2000, 0);
    const numbers = [...output.matchAll(/ line (\d+)$/gm)].map((match) => Number(match[1]));
    expect(numbers).toHaveLength(2000);
    expect(numbers).toEqual([...numbers].sort((left, right) => left - right));
  }, 15_000);

  it.each(['/dev/full', '/dev/null'])(
    'may be %s',
    async (device) => {
      const { fared, code } = await toDevice(device);
      expect(code).toBe(7);
      expect(fared.closing).toBeLessThan(400);
    },
    15_000,
  );

  it('may be a socket, as under a service manager, that stalls', async () => {
    // Node gives its children socket pairs for pipes. Nobody reads this one.
    const { fared, code } = await intoSocket(0, () => undefined);
    expect(code).toBe(7);
    expect(fared.longest).toBeLessThan(250);
    expect(fared.closing).toBeLessThan(400);
  }, 15_000);

  it('may be a socket that wakes up', async () => {
    let output = '';
    const { fared } = await intoSocket(2500, (child) => {
      setTimeout(() => {
        child.stdout?.on('data', (chunk: Buffer) => {
          output += chunk.toString();
        });
      }, 1500);
    });
    const told = /WARNING: (\d+) lines of the log were dropped/.exec(output);
    expect(fared.flushed).toBe(true);
    expect(output.match(/ line \d+$/gm)?.length).toBe(8000 - Number(told?.[1]));
  }, 15_000);

  it('that takes nothing does not keep the process busy', async () => {
    const program = `
      import { createLogger } from ${JSON.stringify(join(import.meta.dirname, '../src/log.ts'))};
      const log = createLogger({ type: 'plain', level: 'INFO' });
      log.info('text');
      await log.close();
    `;
    const out = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', out, 'inherit'],
      timeout: 5000,
    });
    closeSync(out);
    // It ends by itself: nothing is tried over and over.
    expect(await new Promise((resolve) => child.on('exit', resolve))).toBe(0);
  }, 15_000);
});

function intoSocket(
  pauseMs: number,
  reader: (child: ChildProcess) => void,
): Promise<{ readonly fared: Fared; readonly code: number }> {
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-e', PROGRAM, '8000', String(pauseMs)],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  reader(child);
  return endOf(child);
}

function endOf(child: ChildProcess): Promise<{ readonly fared: Fared; readonly code: number }> {
  let told = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    told += chunk.toString();
  });
  return new Promise((resolve) =>
    child.on('exit', (code) =>
      // What the child wrote last may still be on its way.
      setTimeout(() => resolve({ fared: JSON.parse(told) as Fared, code: code ?? -1 }), 200),
    ),
  );
}

function toDevice(device: string): Promise<{ readonly fared: Fared; readonly code: number }> {
  const out = openSync(device, 'w');
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, '400', '0'], {
    stdio: ['ignore', out, 'pipe'],
  });
  closeSync(out);
  return endOf(child);
}

/** The shape of the code, kept by a test: directions of imports, file length, true documents. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../src/config/index.ts';

const root = resolve(import.meta.dirname, '..');
const MAXIMUM_LINES = 400;

function files(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

const text = (file: string): string => readFileSync(join(root, file), 'utf8');

/** Files of this project that `file` imports, and whether only their types. */
function imports(file: string): { readonly to: string; readonly typeOnly: boolean }[] {
  return [...text(file).matchAll(/^(?:import|export)\s+(type\s+)?[^;]*?from\s+'(\.[^']+)'/gms)].map(
    (match) => ({
      to: relative(root, join(root, dirname(file), match[2] as string)),
      typeOnly: match[1] !== undefined,
    }),
  );
}

/** From the bottom up: a file may know its own layer's folder and every layer before it. */
const LAYERS: readonly {
  readonly name: string;
  readonly of: (file: string) => boolean;
  readonly may: readonly string[];
}[] = [
  { name: 'core', of: (file) => file.startsWith('src/core/'), may: ['core'] },
  {
    name: 'base',
    of: (file) =>
      [
        'src/certificates.ts',
        'src/clock.ts',
        'src/dumps.ts',
        'src/version.ts',
        'src/log.ts',
        'src/lookup.ts',
        'src/measures.ts',
        'src/tls.ts',
      ].includes(file) || file.startsWith('src/log/'),
    may: ['base'],
  },
  { name: 'store', of: (file) => file.startsWith('src/store/'), may: ['core', 'base', 'store'] },
  {
    name: 'postgres',
    of: (file) => file.startsWith('src/postgres/'),
    may: ['core', 'base', 'postgres'],
  },
  { name: 'peers', of: (file) => file === 'src/peers.ts', may: ['core', 'base', 'peers'] },
  {
    name: 'fence',
    of: (file) => file.startsWith('src/fence/'),
    may: ['core', 'base', 'fence', 'postgres'],
  },
  {
    name: 'config',
    of: (file) => file.startsWith('src/config/'),
    may: ['core', 'base', 'config', 'postgres'],
  },
  {
    name: 'api',
    of: (file) => file.startsWith('src/api/'),
    may: ['core', 'base', 'api', 'status', 'store'],
  },
  { name: 'status', of: (file) => file === 'src/status.ts', may: ['core', 'base', 'agent'] },
];
const ENTRY_POINTS = ['src/agent.ts', 'src/daemon.ts', 'src/cli.ts'];

const layerOf = (file: string): string => LAYERS.find((layer) => layer.of(file))?.name ?? 'agent';

describe('the architecture', () => {
  it('has imports in one direction only', () => {
    const wrong = files('src').flatMap((file) => {
      const may = LAYERS.find((layer) => layer.of(file))?.may;
      if (may === undefined) return [];
      return imports(file)
        .filter(
          ({ to, typeOnly }) =>
            !may.includes(layerOf(to)) ||
            (file === 'src/status.ts' && layerOf(to) === 'agent' && !typeOnly),
        )
        .map(({ to }) => `${file} imports ${to}`);
    });
    expect(wrong).toEqual([]);
  });

  it('lets nobody import an entry point but another one', () => {
    const wrong = files('src')
      .filter((file) => !ENTRY_POINTS.includes(file))
      .flatMap((file) =>
        imports(file)
          .filter(({ to }) => ENTRY_POINTS.includes(to))
          .map(({ to }) => `${file} imports ${to}`),
      );
    expect(wrong).toEqual([]);
  });

  it('has a pure core: nothing from outside, no clock, no promise', () => {
    const impure = files('src/core').filter((file) =>
      /from '(?!\.\/)|\bDate\b|performance\.|process\.|setTimeout|\bPromise\b|\basync\b|\bawait\b/.test(
        text(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, ''),
      ),
    );
    expect(impure).toEqual([]);
  });

  it('spawns tools, the server and its guard in one place each', () => {
    const spawners = files('src').filter((file) =>
      /from '(?:execa|node:child_process)'/.test(text(file)),
    );
    expect(
      spawners.every((file) =>
        ['src/postgres/run.ts', 'src/postgres/postmaster.ts', 'src/fence/guard-start.ts'].includes(
          file,
        ),
      ),
      spawners.join(),
    ).toBe(true);
  });

  it('never goes through a shell: no string made of data is read as a command', () => {
    const shells =
      /\bshell\s*:\s*(?:true|['"`])|(?<!\.)\bexec(?:Sync|File|FileSync)?\(|\bspawn(?:Sync)?\(|\bnode:vm\b|\beval\(|new Function\(|['"`](?:\/bin\/)?(?:ba|da)?sh['"`]/;
    // Its other functions read command lines.
    const commands = /import (?!\{ execa \}).*from 'execa'/;
    const found = files('src').flatMap((file) =>
      text(file)
        .split('\n')
        .filter((line) => !/^\s*(?:\*|\/\/|\/\*)/.test(line))
        .filter((line) => shells.test(line) || commands.test(line))
        .map((line) => `${file}: ${line.trim()}`),
    );
    expect(found).toEqual([]);
    expect(text('bin/tenure-guard')).not.toMatch(
      /\bsystem\b\s*[(\s]['"$]|\bqx\b|^[^#]*`|\bexec\b\s*[({'"$]/m,
    );
  });

  it('talks to etcd and to PostgreSQL in one place each', () => {
    const outside = (library: string, folder: string): string[] =>
      files('src').filter(
        (file) => !file.startsWith(folder) && text(file).includes(`from '${library}'`),
      );
    expect(outside('etcd3', 'src/store/')).toEqual([]);
    expect(outside('pg', 'src/postgres/')).toEqual([]);
  });

  it('has small files', () => {
    const long = [...files('src'), ...files('test'), ...files('scripts')]
      .map((file) => ({ file, lines: text(file).split('\n').length }))
      .filter(({ lines }) => lines > MAXIMUM_LINES);
    expect(long).toEqual([]);
  });

  it('has an example configuration without a fault', () => {
    const { warnings } = loadConfig(join(root, 'config.example.yaml'), {});
    expect(warnings).toEqual([]);
  });

  it('has a README whose commands exist', () => {
    const { scripts } = JSON.parse(text('package.json')) as { scripts: Record<string, string> };
    const named = [...text('README.md').matchAll(/npm run ([a-z0-9:-]+)/g)].map(
      (match) => match[1] as string,
    );
    expect(named.length).toBeGreaterThan(1);
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
  });
});

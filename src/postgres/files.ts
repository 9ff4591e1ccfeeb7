/** Writes the configuration files of the local server (C-6.5): only what differs, atomically. */
import { copyFile, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type ConfFile, confText, HEADER, isGenerated } from './conffile.ts';
import { withoutRecoverySettings } from './conftext.ts';
import {
  exists,
  fileMode,
  readIfThere,
  removeIfThere,
  writeAtomically,
  writeIfChanged,
} from './disk.ts';
import type { Places } from './options.ts';

export interface FilesToWrite {
  readonly conf: Omit<ConfFile, 'include' | 'hbaFile' | 'identFile'>;
  readonly customConf: string | null;
  readonly pgHba: readonly string[] | null;
  readonly pgIdent: readonly string[] | null;
}

/** Writes all files. Returns whether any of them is another than before. */
export async function writeFiles(places: Places, files: FilesToWrite): Promise<boolean> {
  const mode = await fileMode(places.dataDir);
  const { parameters } = files.conf;
  const text = fileText(places, files.conf, files.customConf);
  const { hba_file: hba, ident_file: ident } = parameters;
  // Together: each waits for the disk, and clients may be waiting for this server.
  const others = await Promise.all([
    files.pgHba !== null &&
      hba === undefined &&
      writeIfChanged(places.hba, linesText(files.pgHba), mode),
    files.pgIdent !== null &&
      ident === undefined &&
      writeIfChanged(places.ident, linesText(files.pgIdent), mode),
    cleanAutoConf(places, mode),
  ]);
  // What the main file names has to be there before it.
  const main = await writeIfChanged(places.conf, text, mode);
  const changed = main || others.includes(true);
  if (changed) await keepCopies(places);
  return changed;
}

/** The generated file as it is to be. */
export function fileText(
  places: Places,
  conf: FilesToWrite['conf'],
  customConf: string | null,
): string {
  return confText({
    ...conf,
    include: customConf ?? basename(places.baseConf),
    hbaFile: places.hba,
    identFile: places.ident,
  });
}

function linesText(lines: readonly string[]): string {
  return `${HEADER}${lines.join('\n')}\n`;
}

/** The user's own postgresql.conf is renamed once and included ever after. */
export async function keepOriginal(places: Places): Promise<void> {
  if (await exists(places.baseConf)) return;
  const original = await readIfThere(places.conf);
  if (original !== null && !isGenerated(original)) {
    await rename(places.conf, places.baseConf);
    return;
  }
  // A generated file may not become its own base. A clone brings a copy of the lost one.
  const copy = await readIfThere(join(places.dataDir, `${basename(places.baseConf)}.backup`));
  await writeAtomically(places.baseConf, copy ?? '', await fileMode(places.dataDir));
}

async function cleanAutoConf(places: Places, mode: number): Promise<boolean> {
  const path = join(places.dataDir, 'postgresql.auto.conf');
  const text = await readIfThere(path);
  if (text === null) return false;
  return await writeIfChanged(path, withoutRecoverySettings(text), mode);
}

/** Copies in the data directory, so that a clone of this node has them wherever its files live (C-6.5). */
async function keepCopies(places: Places): Promise<void> {
  for (const path of [places.conf, places.baseConf, places.hba, places.ident]) {
    const copy = join(places.dataDir, `${basename(path)}.backup`);
    if (await exists(path)) await copyFile(path, copy);
  }
}

/** Before a clone's first start: files that live elsewhere and are not there come from the copies. */
export async function restoreCopies(places: Places): Promise<void> {
  for (const path of [places.baseConf, places.hba, places.ident]) {
    const copy = join(places.dataDir, `${basename(path)}.backup`);
    if (!(await exists(path)) && (await exists(copy))) await copyFile(copy, path);
  }
}

/** With it, whoever starts the directory gets a standby (S8). Durable on return. */
export async function writeStandbySignal(places: Places): Promise<void> {
  if (await exists(places.standbySignal)) return;
  await writeAtomically(places.standbySignal, '', await fileMode(places.dataDir));
}

export async function removeSignals(places: Places): Promise<void> {
  await removeIfThere(places.standbySignal);
  await removeIfThere(places.recoverySignal);
}

import { open, mkdir, readdir, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PanalError } from '@panal/protocol';
import { syncFolder } from '@panal/support';
import { z } from 'zod';

import { hasForeignKeys } from './unmarked-store.js';

/** The file that says that a folder is a store of Panal, and in which format. */
const MARKER = 'PANAL-STORE';
/** The newest format that this Panal reads, and the one that it writes. */
const FORMAT = 1;

/** `making`: LevelDB has not been opened there yet, so that nothing is lost if its files are missing. */
const markerSchema = z.object({ format: z.int().min(1), making: z.boolean().optional() });

/** Where the marker is written before it is one. */
const DRAFT = `${MARKER}.new`;

/** What counts as nothing: what a disk puts into a folder that is its root, and a marker whose making was cut short. */
const NOT_OURS = ['lost+found', DRAFT];

/**
 * Looks what a folder is before LevelDB does, which takes a folder without `CURRENT` for an empty one, and removes what
 * is in it. Makes the folder, with a marker, if there is none, or nothing in it.
 * @returns whether LevelDB may make its files
 * @throws PanalError STORE_UNAVAILABLE if it is not a store that this Panal reads: then nothing in it was touched
 */
export async function prepareStoreFolder(location: string): Promise<boolean> {
  const names = await namesIn(location);
  if (names.includes(MARKER)) {
    const { format, making = false } = await readMarker(location);
    if (format > FORMAT) {
      throw refusal(location, `it is of format ${format}, and this Panal reads ${FORMAT}: use a newer Panal`);
    }
    if (!making) await requireManifest(location, names);
    return making;
  }
  if (names.length > 0) {
    await requireUnmarkedStore(location, names);
    return false;
  }
  await mkdir(location, { recursive: true, mode: 0o700 });
  await writeMarker(location, { format: FORMAT, making: true });
  return true;
}

/** Notes that LevelDB has made its files, or that they are those of a store which had no marker yet. */
export async function markStore(location: string): Promise<void> {
  const marker = await readMarker(location).catch(() => undefined);
  if (marker?.making !== false) await writeMarker(location, { format: FORMAT, making: false });
}

/** Before there was a marker, stores were folders of LevelDB with Panal's keys. */
async function requireUnmarkedStore(location: string, names: readonly string[]): Promise<void> {
  if (!names.includes('CURRENT')) {
    throw refusal(location, `it has files, and neither ${MARKER} nor CURRENT: it is damaged, or not Panal's`);
  }
  await requireManifest(location, names);
  if (await hasForeignKeys(location, names).catch(unlessUnreadable)) {
    throw refusal(location, "its keys are those of another program: it is not Panal's");
  }
}

/** What LevelDB cannot read on a copy it reports of the store itself; anything else says nothing of whose it is. */
function unlessUnreadable(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code.startsWith('LEVEL_')) return false;
  throw error;
}

/** LevelDB finds everything by `CURRENT`, which names its manifest. */
async function requireManifest(location: string, names: readonly string[]): Promise<void> {
  const current = names.includes('CURRENT') ? await readFile(join(location, 'CURRENT'), 'utf8') : undefined;
  if (current === undefined) throw refusal(location, 'it is damaged: CURRENT is missing');
  const manifest = /^(MANIFEST-\d+)\n$/.exec(current)?.[1];
  if (manifest === undefined) throw refusal(location, 'it is damaged: CURRENT names no manifest');
  if (!names.includes(manifest)) throw refusal(location, `it is damaged: ${manifest} is missing`);
}

async function namesIn(location: string): Promise<string[]> {
  try {
    if (!(await stat(location)).isDirectory()) throw refusal(location, 'it is a file, not a folder');
    return (await readdir(location)).filter((name) => !NOT_OURS.includes(name));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

async function readMarker(location: string): Promise<z.infer<typeof markerSchema>> {
  const text = await readFile(join(location, MARKER), 'utf8');
  try {
    return markerSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw refusal(location, `${MARKER} is damaged`, cause);
  }
}

/** Writes it beside, and moves it in place whole. */
async function writeMarker(location: string, marker: z.infer<typeof markerSchema>): Promise<void> {
  const path = join(location, MARKER);
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(marker)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncFolder(location);
}

function refusal(location: string, why: string, cause?: unknown): PanalError {
  const advice = 'nothing in it was touched; move it away, or restore a backup';
  return new PanalError('STORE_UNAVAILABLE', `the store in ${location} cannot be opened: ${why}; ${advice}`, {
    cause,
  });
}

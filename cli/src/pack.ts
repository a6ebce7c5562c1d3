import { createWriteStream } from 'node:fs';
import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { create } from 'tar';
import { Failure } from './failure.js';
import { PROJECT_FILE, readIgnoreRules, type Ignores } from './ignore.js';

/** What of a folder is deployed: paths relative to it, with slashes, those of folders at their end too. */
export interface Listing {
  entries: readonly string[];
  /** The folders that were looked into, relative too; the folder itself is the empty path. */
  folders: readonly string[];
}

/**
 * Lists what of a folder is deployed, in the order of code points.
 * @throws Failure for a folder that is none, for a link that leads out of it, and for what is neither file nor folder
 */
export async function listFolder(folder: string): Promise<Listing> {
  const found = await stat(folder).catch(() => undefined);
  if (found === undefined)
    throw new Failure(`there is no folder ${folder}`, { hint: 'panal init makes one' });
  if (!found.isDirectory())
    throw new Failure(`${folder} is a file`, { hint: 'give the folder that it is in' });
  const ignores = await readIgnoreRules(folder);
  const listing = { entries: [] as string[], folders: [] as string[] };
  await list(folder, '', ignores, listing);
  listing.entries.sort(byCodePoint);
  return listing;
}

async function list(
  root: string,
  below: string,
  ignores: Ignores,
  listing: { entries: string[]; folders: string[] },
): Promise<void> {
  listing.folders.push(below);
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    const isFolder = entry.isDirectory();
    const path = `${below}${entry.name}${isFolder ? '/' : ''}`;
    if (ignores(path)) continue;
    if (entry.isSymbolicLink()) await checkLink(root, path);
    else if (!isFolder && !entry.isFile())
      throw new Failure(`${path} is neither a file nor a folder`, IGNORE_IT);
    listing.entries.push(path);
    if (isFolder) await list(root, path, ignores, listing);
  }
}

const IGNORE_IT = { hint: 'leave it out, with a line in .panalignore' };

/** A link may lead to where it still leads once it is deployed. */
async function checkLink(root: string, path: string): Promise<void> {
  const target = await readlink(join(root, path));
  const end = posix.normalize(posix.join(dirname(path), target));
  if (target.startsWith('/') || end === '..' || end.startsWith('../')) {
    throw new Failure(`${path} is a link that leads out of the folder, to ${target}`, IGNORE_IT);
  }
}

/** Tells a change of what is deployed, and of how, from one of anything else in the folder. */
export async function fingerprint(folder: string, { entries }: Listing): Promise<string> {
  const files = [PROJECT_FILE, ...entries.filter((path) => !path.endsWith('/'))];
  const states = await Promise.all(files.map((path) => lstat(join(folder, path)).catch(() => undefined)));
  const seen = states.map((state) => state && [state.mtimeMs, state.ctimeMs, state.size, state.mode]);
  return JSON.stringify([entries, seen]);
}

/**
 * Packs what `listFolder` found into a .tar.gz. The same files give the same bytes, on every machine: no times,
 * owners, or permissions but whether a file may be run.
 */
export async function pack(folder: string, { entries }: Listing, file: string): Promise<void> {
  const archive = create(
    {
      cwd: folder,
      gzip: true,
      portable: true,
      mtime: new Date(0),
      noDirRecurse: true,
      strict: true,
      onWriteEntry: ({ stat }) => {
        if (stat !== undefined) stat.mode = (stat.mode & ~0o777) | (isRunnable(stat.mode) ? 0o755 : 0o644);
      },
    },
    // A name that begins with @ would be an archive to put in.
    entries.map((path) => `./${path}`),
  );
  await pipeline(archive, createWriteStream(file));
}

const FOLDER = 0o040000;
const isRunnable = (mode: number): boolean => (mode & 0o170000) === FOLDER || (mode & 0o100) !== 0;

const byCodePoint = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

import { copyFile, link, mkdtemp, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { levelDatabase, type Database } from './database.js';
import { KINDS, rangeOfKind } from './keys.js';

/** Tables are never changed once they are written; LevelDB writes on in its other files. */
const TABLE = /\.(ldb|sst)$/;
const OTHER = /^(CURRENT|MANIFEST-\d+|\d+\.log)$/;

/**
 * Whether a LevelDB folder has keys that are not Panal's. LevelDB writes into what it opens, so this is found out on a
 * copy beside the folder, whose tables are links.
 * @throws what LevelDB says if the copy cannot be opened
 */
export async function hasForeignKeys(location: string, names: readonly string[]): Promise<boolean> {
  await removeCopies(location);
  const copy = await mkdtemp(`${location}.look-`);
  try {
    for (const name of names) {
      const [from, to] = [join(location, name), join(copy, name)];
      if (TABLE.test(name)) await link(from, to).catch(() => copyFile(from, to));
      else if (OTHER.test(name)) await copyFile(from, to);
    }
    const database = levelDatabase(copy);
    await database.open({ createIfMissing: false });
    return await hasKeyOutside(database).finally(() => database.close());
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** Removes the copies that a crash left. */
async function removeCopies(location: string): Promise<void> {
  const parent = dirname(location);
  const left = (await readdir(parent)).filter((name) => name.startsWith(`${basename(location)}.look-`));
  await Promise.all(left.map((name) => rm(join(parent, name), { recursive: true, force: true })));
}

/** Whether there is a key between those of the kinds that Panal has. */
async function hasKeyOutside(database: Database): Promise<boolean> {
  const ranges = KINDS.map(rangeOfKind).sort((a, b) => (a.gte < b.gte ? -1 : 1));
  let gte = '';
  for (const range of [...ranges, { gte: '\u{10ffff}', lt: '' }]) {
    if ((await database.keys({ gte, lt: range.gte, limit: 1 }).all()).length > 0) return true;
    gte = range.lt;
  }
  return false;
}

import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { access, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { makeStore, type DiskStore } from '@panal/db';
import { openDataDir, StartRefusal } from '@panal/protocol';
import { syncFolder } from '@panal/support';
import { z } from 'zod';
import { BUNDLES, END, FORMAT, MANIFEST, membersOf, PAGES, SECRET, type Member } from './archive.js';
import { numbersToLeaveOut } from './number-jump.js';
import { decodePage } from './page-codec.js';

const manifestSchema = z.object({ format: z.number(), createdAt: z.iso.datetime() });
const endSchema = z.object({ entries: z.int(), bundles: z.int() });

/** The folder below that of a broker in which a restore is made. */
export const DRAFT = 'restoring';

/** A file of the draft: the backup was read, and all of it is on disk. From then on a restore only goes on. */
const READ = 'read';

/** What is moved out of the draft: the store last, because a broker takes a folder with a store for one of its own. */
const PARTS = ['bundles', SECRET, 'store'] as const;

/** What a folder may hold without being another's: a restore, or a start, that was cut short, and a disk's own folder. */
const OWN_LEFTOVERS: ReadonlySet<string> = new Set([
  DRAFT,
  'backups',
  'broker.pid',
  'lost+found',
  'reserve',
  'uploads',
]);

/** What a backup held. */
export interface Restored {
  /** When it was made. */
  createdAt: string;
  entries: number;
  bundles: number;
}

/** A backup that cannot be restored, or not there. Its message is for people. */
export class RestoreFailure extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RestoreFailure';
  }
}

/**
 * Makes the data folder of a broker from a backup: all of it, or nothing if this fails. No broker may run there. If it is
 * cut short, the next start of a broker either finishes it or refuses to start, as `finishRestore` says.
 * @param dataDir a folder with nothing in it; it is made if it is missing
 * @throws RestoreFailure; StartRefusal if the folder cannot be written
 */
export async function restore(backup: AsyncIterable<Buffer>, dataDir: string): Promise<Restored> {
  await openDataDir(dataDir);
  await requireEmpty(dataDir);
  const draft = join(dataDir, DRAFT);
  await rm(draft, { recursive: true, force: true });
  await mkdir(join(draft, 'bundles'), { recursive: true });
  let restored: Restored;
  try {
    restored = await readInto(draft, backup);
    for (const name of ['bundles', 'store']) await syncFolder(join(draft, name));
    await writeFile(join(draft, READ), '', { flush: true });
    await syncFolder(draft);
    await syncFolder(dataDir);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (error instanceof RestoreFailure) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new RestoreFailure(`the backup cannot be restored: ${why}`, { cause: error });
  }
  await finishRestore(dataDir);
  return restored;
}

/**
 * Finishes a restore that was cut short after its backup had been read. Does nothing if there is none.
 * @throws StartRefusal if it was cut short before: then nothing was restored, and a broker would start without data
 */
export async function finishRestore(dataDir: string): Promise<void> {
  const draft = join(dataDir, DRAFT);
  if (!(await exists(draft))) return;
  if (await exists(join(draft, READ))) {
    for (const name of PARTS) {
      if (await exists(join(draft, name))) await rename(join(draft, name), join(dataDir, name));
      await syncFolder(dataDir);
    }
  } else if (!(await exists(join(dataDir, 'store')))) {
    throw new StartRefusal(
      `a restore into ${dataDir} was cut short: restore the backup again, or remove ${draft} to start without it`,
    );
  }
  await rm(draft, { recursive: true, force: true });
}

/** @throws RestoreFailure if the folder holds anything that a restore must not touch, or mix with */
async function requireEmpty(dataDir: string): Promise<void> {
  if (await exists(join(dataDir, DRAFT, READ))) {
    throw new RestoreFailure(
      `a restore into ${dataDir} was cut short after it had read its backup: start the broker, which finishes it`,
    );
  }
  const names = await readdir(dataDir);
  if (PARTS.some((name) => names.includes(name))) {
    throw new RestoreFailure(`${dataDir} has data of a broker already; move it away, or give another folder`);
  }
  const foreign = names.find((name) => !OWN_LEFTOVERS.has(name));
  if (foreign !== undefined) {
    throw new RestoreFailure(
      `${dataDir} is not empty: it holds ${JSON.stringify(foreign)}; give another folder`,
    );
  }
}

async function readInto(draft: string, backup: AsyncIterable<Buffer>): Promise<Restored> {
  const store = makeStore(join(draft, 'store'), { durability: 'fsync' });
  await store.open();
  try {
    const restored = await readMembers(draft, store, backup);
    const leftOut = numbersToLeaveOut(new Date(restored.createdAt), new Date());
    await store.calls.takeCallNums(leftOut);
    return restored;
  } finally {
    await store.close();
  }
}

async function readMembers(
  draft: string,
  store: DiskStore,
  backup: AsyncIterable<Buffer>,
): Promise<Restored> {
  let createdAt: string | undefined;
  let [entries, bundles, whole] = [0, 0, false];
  for await (const member of membersOf(backup)) {
    const { path } = member;
    if (path === MANIFEST) createdAt = await readManifest(member);
    else if (createdAt === undefined) throw new Error('it is no backup');
    else if (path.startsWith(PAGES)) {
      const page = decodePage(await textOf(member));
      await store.putPage(page);
      entries += page.length;
    } else if (path.startsWith(BUNDLES)) {
      await readBundle(join(draft, 'bundles'), path.slice(BUNDLES.length), member);
      bundles++;
    } else if (path === SECRET) {
      await writeFile(join(draft, SECRET), await textOf(member), { mode: 0o600, flush: true });
    } else if (path === END) {
      const end = endSchema.parse(JSON.parse((await textOf(member)).toString()));
      if (end.entries !== entries || end.bundles !== bundles) throw new Error('parts of it are missing');
      whole = true;
    } else {
      throw new Error(`it holds ${JSON.stringify(path)}, which is nothing of a backup's`);
    }
  }
  if (createdAt === undefined || !whole) throw new Error('it was cut off');
  return { createdAt, entries, bundles };
}

async function readManifest(member: Member): Promise<string> {
  const { format, createdAt } = manifestSchema.parse(JSON.parse((await textOf(member)).toString()));
  if (format !== FORMAT) throw new Error(`it is of format ${format}, and this Panal reads ${FORMAT}`);
  return createdAt;
}

/** Code has to be what its name says. */
async function readBundle(folder: string, sha256: string, member: Member): Promise<void> {
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new Error('a bundle of it has a wrong name');
  const file = join(folder, sha256);
  const hash = createHash('sha256');
  await pipeline(
    member.bytes(),
    async function* (pieces: AsyncIterable<Buffer>) {
      for await (const piece of pieces) {
        hash.update(piece);
        yield piece;
      }
    },
    createWriteStream(file),
  );
  if (hash.digest('hex') !== sha256) throw new Error(`the bundle ${sha256} is damaged`);
  const written = await open(file, 'r+');
  await written.sync().finally(() => written.close());
}

const textOf = async (member: Member): Promise<Buffer> => await buffer(member.bytes());

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

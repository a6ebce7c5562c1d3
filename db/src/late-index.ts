import type { z } from 'zod';
import { imageEntry, summaryEntry } from './function-index.js';
import type { Write } from './log/log.js';
import { keyOf, under, type Range } from './keys.js';
import type { Medium } from './medium.js';
import { jsonDecoder } from './record-codec.js';
import { runtimeRecordSchema, versionRecordSchema } from './schemas.js';

/** Entries read and written at once. */
const PAGE = 100;

/** The entry of a record; none if the record is damaged, which is told when somebody asks for it. */
type EntryOf = (value: Uint8Array) => Write | undefined;

const runtimeImage = entryFrom(runtimeRecordSchema, imageEntry);
const versionSummary = entryFrom(versionRecordSchema, summaryEntry);

/** Writes the index entries that a store of an earlier version of Panal, or a backup of it, does not have. */
export async function addMissingIndexes(medium: Medium): Promise<void> {
  await addMissing(medium, under(keyOf('runtime')), runtimeImage);
  await addMissing(medium, under(keyOf('version')), versionSummary);
}

/** From the last record to the first: if the first one has its entry, all have theirs, also after a crash. */
async function addMissing(medium: Medium, range: Range, entryOf: EntryOf): Promise<void> {
  const first = await firstEntry(medium, range, entryOf);
  if (first === undefined || (await medium.has(first[0]))) return;
  for (let { lt } = range; ;) {
    const page = await medium.read((database) =>
      database.iterator({ gte: range.gte, lt, reverse: true, limit: PAGE }).all(),
    );
    const last = page.at(-1);
    if (last === undefined) return;
    await medium.commit(page.map(([, value]) => entryOf(value)).filter((entry) => entry !== undefined));
    lt = last[0];
  }
}

async function firstEntry(medium: Medium, range: Range, entryOf: EntryOf): Promise<Write | undefined> {
  return await medium.read(async (database) => {
    for await (const value of database.values(range)) {
      const entry = entryOf(value);
      if (entry !== undefined) return entry;
    }
    return undefined;
  });
}

function entryFrom<T>(schema: z.ZodType<T>, entry: (record: T) => Write): EntryOf {
  const decode = jsonDecoder(schema);
  return (value) => {
    try {
      return entry(decode(value));
    } catch {
      return undefined;
    }
  };
}

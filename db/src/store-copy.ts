import type { Database } from './database.js';
import type { Write } from './log/log.js';
import { keyOf, under } from './keys.js';
import type { Medium } from './medium.js';

/** All that was stored at one moment. It stands still while the store goes on; close it soon, for it takes room. */
export interface StoreCopy {
  /** SHA-256 of every bundle that a version uses. */
  bundles(): Promise<string[]>;
  /** Every entry, in pages that `putCopy` takes. */
  pages(): AsyncIterable<Page>;
  close(): Promise<void>;
}

/** Entries of a store: key and value. */
export type Page = readonly (readonly [key: string, value: Uint8Array])[];

/** A store that can be copied while it is in use, and made from a copy. */
export interface Copyable {
  copy(): Promise<StoreCopy>;
  /** Writes a page of a copy into a store that is being made from it. */
  putPage(page: Page): Promise<void>;
  /** Whether nothing is stored. */
  isEmpty(): Promise<boolean>;
}

/** Most entries of a page, and most bytes after which it takes no more. */
const PAGE_ENTRIES = 1000;
const PAGE_BYTES = 1024 * 1024;

/** A copy of what `medium` holds now, by a snapshot of LevelDB. */
export async function copyOf(medium: Medium): Promise<StoreCopy> {
  return await medium.read(async (database) => {
    const snapshot = database.snapshot();
    return {
      bundles: async () => {
        const keys = await medium.read((open) =>
          open.keys({ ...under(keyOf('uses-bundle')), snapshot }).all(),
        );
        // `uses-bundle`, SHA-256, and whose it is.
        return [...new Set(keys.map((key) => key.split('\0')[1] ?? ''))];
      },
      pages: () => pagesOf(database, snapshot),
      close: () => snapshot.close(),
    };
  });
}

/** What writes a page. */
export const writesOfPage = (page: Page): Write[] => page.map(([key, value]) => [key, value]);

async function* pagesOf(
  database: Database,
  snapshot: ReturnType<Database['snapshot']>,
): AsyncGenerator<Page, void, undefined> {
  let page: [string, Uint8Array][] = [];
  let bytes = 0;
  for await (const [key, value] of database.iterator({ snapshot, highWaterMarkBytes: PAGE_BYTES })) {
    page.push([key, value]);
    bytes += key.length + value.byteLength;
    if (page.length < PAGE_ENTRIES && bytes < PAGE_BYTES) continue;
    yield page;
    page = [];
    bytes = 0;
  }
  if (page.length > 0) yield page;
}

import { join } from 'node:path';
import type { Logger } from 'pino';
import { damageIn, LevelStore, type CommitObserver } from '@panal/db';
import { openDataDir, PanalError, StartRefusal, type Config } from '@panal/protocol';
import { BundleStore } from './bundles/bundle-store.js';
import type { Closers } from './closers.js';

/** What a broker keeps on disk. */
export interface State {
  store: LevelStore;
  bundles: BundleStore;
}

/**
 * Opens what the broker keeps in its data folder.
 * @throws StartRefusal if the folder cannot be written, or its store is damaged or in use; PanalError STORE_UNAVAILABLE
 * if the disk is full
 */
export async function openState(
  config: Config,
  { closers, observer, log }: { closers: Closers; observer: CommitObserver; log: Logger },
): Promise<State> {
  await openDataDir(config.FAAS_DATA_DIR);
  const folder = join(config.FAAS_DATA_DIR, 'store');
  const store = new LevelStore(folder, { sync: config.FAAS_DURABILITY === 'fsync', observer });
  await store.open().catch((error: unknown) => {
    throw startFailure(error);
  });
  closers.add(() => store.close());
  for (const what of await damageIn(folder)) {
    log.error({ what }, 'the store was damaged: what could not be read is lost, unless it is in a backup');
  }
  const bundles = new BundleStore(config.FAAS_DATA_DIR, {
    maxUnpacked: config.FAAS_MAX_BUNDLE_UNPACKED,
    maxEntries: config.FAAS_MAX_BUNDLE_ENTRIES,
  });
  await bundles.open();
  return { store, bundles };
}

/** A store that cannot be opened is for people to mend, unless its disk is full: that may pass. */
function startFailure(error: unknown): unknown {
  if (!(error instanceof PanalError) || error.message.includes('No space left')) return error;
  return new StartRefusal(error.message, { cause: error });
}

import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { damageIn, DiskReserve, makeStore, type CommitObserver, type DiskStore } from '@panal/db';
import { openDataDir, PanalError, StartRefusal, type Config } from '@panal/protocol';
import { finishRestore } from './backup/restore.js';
import { BundleStore } from './bundles/bundle-store.js';
import type { Closers } from './closers.js';
import type { Holder } from './holder.js';

/** What a broker keeps on disk. */
export interface State {
  store: DiskStore;
  /** Space of the disk that the store has if the disk is full. */
  reserve: DiskReserve;
  bundles: BundleStore;
}

export interface StateParts {
  /** Names this run of the broker. */
  run: string;
  closers: Closers;
  observer: CommitObserver;
  holder: Holder;
  log: Logger;
}

/**
 * Opens what the broker keeps in its data folder.
 * @throws StartRefusal if the folder cannot be written, or its store is damaged or in use; PanalError STORE_UNAVAILABLE
 * if the disk is full
 */
export async function openState(
  config: Config,
  { run, closers, observer, holder, log }: StateParts,
): Promise<State> {
  await openDataDir(config.FAAS_DATA_DIR);
  await finishRestore(config.FAAS_DATA_DIR);
  const folder = join(config.FAAS_DATA_DIR, 'store');
  const reserve = new DiskReserve(join(config.FAAS_DATA_DIR, 'reserve'));
  const store = makeStore(folder, { durability: config.FAAS_DURABILITY, run, observer, reserve });
  await openWith(store, reserve).catch(async (error: unknown) => {
    throw startFailure(await holder.explain(error));
  });
  closers.add(() => store.close());
  // Also one that an earlier version made, or a umask.
  await chmod(folder, 0o700);
  await holder.note();
  closers.add(() => holder.forget());
  for (const what of await damageIn(folder)) {
    log.error({ what }, 'the store was damaged: what could not be read is lost, unless it is in a backup');
  }
  const bundles = new BundleStore(config.FAAS_DATA_DIR, {
    maxUnpacked: config.FAAS_MAX_BUNDLE_UNPACKED,
    maxEntries: config.FAAS_MAX_BUNDLE_ENTRIES,
  });
  await bundles.open();
  return { store, reserve, bundles };
}

/** Opens a store; on a full disk with space of the reserve. */
async function openWith(store: DiskStore, reserve: DiskReserve): Promise<void> {
  for (;;) {
    try {
      await store.open();
      return;
    } catch (error) {
      if (!(await reserve.release())) throw error;
    }
  }
}

/** A store that cannot be opened is for people to mend, unless its disk is full: that may pass. */
function startFailure(error: unknown): unknown {
  if (!(error instanceof PanalError) || error.message.includes('No space left')) return error;
  return new StartRefusal(error.message, { cause: error });
}

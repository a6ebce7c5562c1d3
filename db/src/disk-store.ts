import type { Store } from './store.js';
import type { Copyable } from './store-copy.js';

/** A store in a folder, whose disk may be full for a while. */
export interface DiskStore extends Store, Copyable {
  /** Whether the last write failed, and none has succeeded since. */
  readonly failing: boolean;
  /**
   * Gets a store going again that failed to write, if its disk allows for it.
   * @param probe also if no failure is known: LevelDB tells only a writer that it could not merge its files
   */
  heal(probe?: boolean): Promise<void>;
}

import { EventEmitter, once } from 'node:events';
import { watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';

/** After a change, how long it must stay quiet: an editor writes a file in several steps. */
const QUIET_MS = 100;

/** Tells of changes in folders; not of those in the folders below them. */
export class FolderWatch {
  readonly #root: string;
  readonly #watchers = new Map<string, FSWatcher>();
  #timer: NodeJS.Timeout | undefined;
  #changed = false;
  readonly #events = new EventEmitter();

  constructor(root: string) {
    this.#root = root;
  }

  /** Watches these folders, given relative to the root, and no longer any others. */
  follow(folders: readonly string[]): void {
    for (const [folder, watcher] of this.#watchers) {
      if (folders.includes(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of folders) {
      if (this.#watchers.has(folder)) continue;
      const watcher = watch(join(this.#root, folder), () => this.#stir());
      // The folder is gone, which is a change of the one above it.
      watcher.on('error', () => this.#stir());
      this.#watchers.set(folder, watcher);
    }
  }

  /** Resolves once something changed since the last time, and it is quiet again. @throws the signal's reason */
  async change(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#changed) await once(this.#events, 'change', { signal }).catch(() => signal.throwIfAborted());
    this.#changed = false;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.follow([]);
  }

  #stir(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#changed = true;
      this.#events.emit('change');
    }, QUIET_MS);
  }
}

import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PanalError } from '@panal/protocol';

/** How long a write may wait before it is synced, in ms: half of the 100 that are promised, for the disk takes some. */
const SYNC_MS = 50;

/** A write-ahead log of LevelDB. */
const LOG = /^\d+\.log$/;

/**
 * Puts on disk, a moment later and together, what was written to LevelDB without a sync.
 *
 * It syncs the log files themselves: a write with LevelDB's own `sync` covers only the log that LevelDB writes now, and
 * not the end of the one before, which stands alone until its table is written.
 */
export class LogSync {
  readonly #folder: string;
  readonly #onFailure: () => void;
  #timer: NodeJS.Timeout | undefined;
  /** What was written since the last pass began, and what the pass under way covers. */
  #recent = new Set<number>();
  #covered = new Set<number>();
  #dirty = false;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** @param onFailure hears of a sync that failed; it is tried again. */
  constructor(folder: string, onFailure: () => void) {
    this.#folder = folder;
    this.#onFailure = onFailure;
  }

  /** Something was written and not synced: with these calls, if they have ended by it. */
  wrote(ended: Iterable<number> = []): void {
    for (const callNum of ended) this.#recent.add(callNum);
    this.#dirty = true;
    this.#timer ??= setTimeout(() => void this.flush().catch(() => undefined), SYNC_MS);
  }

  /** Whether how the call ended may not be on disk yet. */
  has(callNum: number): boolean {
    return this.#recent.has(callNum) || this.#covered.has(callNum);
  }

  /** Resolves once all that was written before is on disk. @throws PanalError STORE_UNAVAILABLE */
  async flush(): Promise<void> {
    // The pass under way may have begun before the last write.
    await (this.#next ??= this.#pass());
  }

  /** As `flush`, and then nothing more. */
  async close(): Promise<void> {
    try {
      await this.#running?.catch(() => undefined);
      if (this.#dirty) await this.flush();
    } finally {
      clearTimeout(this.#timer);
    }
  }

  async #pass(): Promise<void> {
    await this.#running?.catch(() => undefined);
    this.#running = this.#next;
    this.#next = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#dirty = false;
    this.#covered = this.#recent;
    this.#recent = new Set();
    try {
      await syncLogs(this.#folder);
    } catch (cause) {
      this.#onFailure();
      this.wrote(this.#covered);
      throw new PanalError('STORE_UNAVAILABLE', 'the store cannot write', { cause });
    } finally {
      this.#covered = new Set();
      this.#running = undefined;
    }
  }
}

async function syncLogs(folder: string): Promise<void> {
  const logs = (await readdir(folder)).filter((name) => LOG.test(name));
  await Promise.all(logs.map((name) => syncLog(join(folder, name))));
}

async function syncLog(path: string): Promise<void> {
  const file = await open(path).catch((error: unknown) => {
    // All that it held is in a table now, which LevelDB has synced.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  try {
    await file?.datasync();
  } finally {
    await file?.close();
  }
}

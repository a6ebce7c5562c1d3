import { setTimeout as pause } from 'node:timers/promises';
import type { CallError } from '@panal/protocol';
import type { Logger } from 'pino';

/** Between two looks, in ms. */
const INTERVAL_MS = 1000;
/** A look that takes long, for there is much to look at, is followed by a pause of so many times as long. */
const PAUSES = 4;
const KiB = 1024;

/** What one sandbox keeps on disk. */
export interface Kept {
  name: string;
  bytes: number;
  /** Most that it may keep. */
  limit: DiskLimit;
}

/** A limit in MiB, and the setting that an operator changes it by. */
export interface DiskLimit {
  mb: number;
  setting: 'FAAS_DISK_MB' | 'FAAS_DEPS_DISK_MB';
}

export interface DiskGuardOptions {
  measure: () => Promise<Kept[]>;
  /** Ends a sandbox, and the call in it, for `why`. */
  end: (name: string, why: CallError) => Promise<void>;
  log: Pick<Logger, 'warn'>;
}

/**
 * Looks once a second what every sandbox keeps on disk, and ends those that keep too much. A file system without quotas
 * has no better way; it is the kubelet's as well. What is written within a second, and files that were deleted while they
 * are open, go unseen: those are gone with the sandbox.
 */
export class DiskGuard {
  readonly #options: DiskGuardOptions;
  readonly #closing = new AbortController();
  #watching: Promise<void> = Promise.resolve();

  constructor(options: DiskGuardOptions) {
    this.#options = options;
  }

  open(): void {
    this.#watching = this.#watch();
  }

  /** Resolves when nothing is under way. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#watching;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#closing;
    let took = 0;
    let failing = false;
    for (;;) {
      try {
        await pause(Math.max(INTERVAL_MS, took * PAUSES), undefined, { signal, ref: false });
      } catch {
        return;
      }
      const began = performance.now();
      try {
        await this.#look();
        failing = false;
      } catch (error) {
        // Said once: an engine may be away for long.
        if (!failing) this.#options.log.warn({ err: error }, 'what sandboxes keep on disk is not known');
        failing = true;
      }
      took = performance.now() - began;
    }
  }

  async #look(): Promise<void> {
    const { measure, end } = this.#options;
    const over = (await measure()).filter(({ bytes, limit }) => bytes > limit.mb * KiB * KiB);
    await Promise.all(over.map(({ name, limit }) => end(name, outOfDisk(limit))));
  }
}

function outOfDisk({ mb, setting }: DiskLimit): CallError {
  return {
    code: 'OUT_OF_DISK',
    message: `kept more than ${mb} MiB on disk (${setting} of the worker)`,
  };
}

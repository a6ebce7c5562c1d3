import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PanalError } from '@panal/protocol';

/**
 * Says which broker has a data folder, for the message of one that cannot have it. What keeps two brokers apart is the
 * lock of the store; this file only names its holder, so one that a crash left behind does no harm.
 */
export class Holder {
  readonly #dataDir: string;
  readonly #file: string;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    this.#file = join(dataDir, 'broker.pid');
  }

  /** Notes that this process has the folder, and once it is known, where it serves. No start fails because of it. */
  async note(url = ''): Promise<void> {
    const who = `process ${process.pid}${url === '' ? '' : ` at ${url}`}\n`;
    await writeFile(this.#file, who).catch(() => undefined);
  }

  async forget(): Promise<void> {
    await rm(this.#file, { force: true });
  }

  /** What the failure to open the store means: if another broker has it, which one. */
  async explain(error: unknown): Promise<unknown> {
    if (!isLocked(error)) return error;
    const holder = await readFile(this.#file, 'utf8').catch(() => '');
    return new PanalError(
      'STORE_UNAVAILABLE',
      `FAAS_DATA_DIR ${this.#dataDir} is used by another broker (${holder.trim() || 'it is just starting'}): ` +
        'use that one, stop it first, or set another FAAS_DATA_DIR',
      { cause: error },
    );
  }
}

/** Whether LevelDB says somewhere in the chain of causes that another process has the lock. */
function isLocked(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ('code' in error && error.code === 'LEVEL_LOCKED') || isLocked(error.cause);
}

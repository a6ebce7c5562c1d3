import { writeFile } from 'node:fs/promises';

/**
 * The wall clock of the broker, by libfaketime. The monotonic clock stays as it is, as on a machine whose clock is set.
 * Workers keep the machine's: the processes in their sandboxes have it, too, and a host has one clock.
 */
export class Clock {
  readonly #library: string | undefined;
  readonly #file: string;

  /** @param library libfaketime, where it is installed */
  constructor(library: string | undefined, file: string) {
    this.#library = library;
    this.#file = file;
  }

  get canJump(): boolean {
    return this.#library !== undefined;
  }

  /** For the environment of a process whose clock it is. */
  get env(): Record<string, string> {
    if (this.#library === undefined) return {};
    return {
      LD_PRELOAD: this.#library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** Sets the clock so many seconds off the machine's. */
  async set(seconds: number): Promise<void> {
    await writeFile(this.#file, `${seconds < 0 ? '-' : '+'}${Math.abs(seconds)}\n`);
  }
}

import { statfs } from 'node:fs/promises';
import { PanalError } from '@panal/protocol';
import type { Logger } from 'pino';

const MiB = 1024 * 1024;

/** Between two looks at the disk, in ms. */
const LOOK_MS = 1000;

/** The floor unless it is set: this part of the disk, and at most so many bytes. */
const FLOOR_SHARE = 1 / 10;
const FLOOR_BYTES = 256 * MiB;

/** The part of the floor that is never used for outcomes: the store needs it to remove calls, and to merge its files. */
const RESERVE_SHARE = 1 / 4;

/** Seconds after which a refused client may try again. */
const RETRY_AFTER = 5;

export interface DiskRoomOptions {
  /** A folder on the disk. */
  folder: string;
  /** In bytes; by default a tenth of the disk, at most 256 MiB. */
  floor: number | undefined;
  /** Most bytes that the outcome of a call may have. */
  outcomeBytes: number;
  /** Is asked, between looks, to get the store going again. */
  heal: () => Promise<void>;
  log: Logger;
}

/**
 * Knows whether the disk of the store has room. Below a floor of free space nothing new is accepted; what is below is
 * for the outcomes of calls that run, and for the store to remove calls. Looks once a second; what is promised between
 * two looks counts as written.
 */
export class DiskRoom {
  readonly #options: DiskRoomOptions;
  #free = Infinity;
  #floor = 0;
  #promised = 0;
  #low = false;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;

  constructor(options: DiskRoomOptions) {
    this.#options = options;
  }

  /** Looks for the first time, and from then on once a second. */
  async start(): Promise<void> {
    await this.#look();
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** Looks now. */
  async look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    await this.#looking;
  }

  /** Why nothing is accepted now. */
  get problem(): string | undefined {
    if (this.#free - this.#promised >= this.#floor) return undefined;
    const [free, floor] = [this.#free, this.#floor].map((bytes) => Math.floor(bytes / MiB));
    return `the disk of the store has ${free} MiB left, less than its floor of ${floor} MiB (FAAS_DISK_FLOOR_MB)`;
  }

  /**
   * Something of so many bytes is about to be stored.
   * @throws PanalError STORE_UNAVAILABLE below the floor
   */
  admit(bytes: number): void {
    const { problem } = this;
    if (problem !== undefined)
      throw new PanalError('STORE_UNAVAILABLE', problem, { retryAfter: RETRY_AFTER });
    this.#promised += bytes;
    if (this.#promised > this.#floor / 4) void this.look();
  }

  /** Whether the outcomes of so many calls can be stored, however large they are. */
  hasRoomFor(calls: number): boolean {
    return this.#free - this.#promised >= RESERVE_SHARE * this.#floor + calls * this.#options.outcomeBytes;
  }

  async #look(): Promise<void> {
    const { folder, floor, heal, log } = this.#options;
    // What is promised while this looks is not yet seen.
    const seen = this.#promised;
    try {
      const { bavail, blocks, bsize } = await statfs(folder);
      this.#free = bavail * bsize;
      this.#floor = floor ?? Math.min(FLOOR_BYTES, FLOOR_SHARE * blocks * bsize);
      this.#promised -= seen;
      this.#tell();
      await heal();
    } catch (error) {
      log.warn({ err: error }, 'the disk of the store could not be looked at, or not be written to');
    }
  }

  #tell(): void {
    const { problem } = this;
    const low = problem !== undefined;
    if (low === this.#low) return;
    this.#low = low;
    if (low) this.#options.log.error(problem);
    else this.#options.log.info('the disk of the store has room again');
  }
}

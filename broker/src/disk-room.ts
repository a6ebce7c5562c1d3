import { diskSpace, type DiskReserve, type DiskStore } from '@panal/db';
import { PanalError } from '@panal/protocol';
import type { Logger } from 'pino';

const MiB = 1024 * 1024;

/** Between two looks at the disk, in ms. */
const LOOK_MS = 1000;

/** The default floor: this share of the disk, and at most so many bytes. */
const FLOOR_SHARE = 1 / 10;
const FLOOR_BYTES = 256 * MiB;

/** The same of inodes. */
const FLOOR_INODES = 1000;

/** The share of the floor that is never used for outcomes: the store needs it to remove calls, and to merge its files. */
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
  store: Pick<DiskStore, 'heal'>;
  reserve: Pick<DiskReserve, 'fill' | 'missing'>;
  log: Logger;
}

/**
 * Knows whether the disk of the store has room. Below a floor of free space, or of free inodes, nothing new is accepted.
 * The space below the floor is for the outcomes of calls that run, and for the store to remove calls; it is larger than
 * the floor if those outcomes may be. Measures the disk once a second, and counts as written what was admitted since.
 */
export class DiskRoom {
  readonly #options: DiskRoomOptions;
  /** Free bytes of the disk, without those that belong to the reserve. */
  #free = Infinity;
  #inodes = Infinity;
  #floor = 0;
  #floorInodes = 0;
  #promised = 0;
  #low = false;
  #running: () => number = () => 0;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;

  constructor(options: DiskRoomOptions) {
    this.#options = options;
  }

  /** @param running counts the calls that are handed out, whose outcomes are still to be stored */
  countOutcomesOf(running: () => number): void {
    this.#running = running;
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
    if (this.#inodes < this.#floorInodes) {
      return `the disk of the store has ${this.#inodes} inodes left, less than its floor of ${this.#floorInodes}`;
    }
    const running = this.#running();
    const floor = Math.max(this.#floor, this.#needOf(running));
    if (this.#free - this.#promised >= floor) return undefined;
    const [free, needed] = [Math.max(0, this.#free), floor].map((bytes) => Math.floor(bytes / MiB));
    const why = floor > this.#floor ? ` with the outcomes of ${running} calls that run` : '';
    return `the disk of the store has ${free} MiB left, less than its floor of ${needed} MiB${why} (FAAS_DISK_FLOOR_MB)`;
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
    return this.#inodes > 0 && this.#free - this.#promised >= this.#needOf(calls);
  }

  /** Bytes for the outcomes of so many calls, with what the store itself needs. */
  #needOf(calls: number): number {
    return RESERVE_SHARE * this.#floor + calls * this.#options.outcomeBytes;
  }

  async #look(): Promise<void> {
    const { folder, floor, store, reserve, log } = this.#options;
    // What is promised while this looks is not yet seen.
    const seen = this.#promised;
    try {
      const { bytes, inodes, totalBytes, totalInodes } = await diskSpace(folder);
      this.#free = bytes - reserve.missing;
      this.#floor = floor ?? Math.min(FLOOR_BYTES, FLOOR_SHARE * totalBytes);
      this.#inodes = inodes;
      this.#floorInodes = Math.min(FLOOR_INODES, Math.floor(FLOOR_SHARE * totalInodes));
      this.#promised -= seen;
      this.#tell();
      await store.heal(this.#low);
      await reserve.fill();
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

import { keyOf, type Range } from './keys.js';

/** Calls of an owner that were removed. */
export interface Removed {
  owner: string;
  from: number;
  /** Excluded. */
  to: number;
  bytes: number;
}

/** Removed calls that still take space, which LevelDB gives back when it merges their tables. */
export class RemovedRanges {
  readonly #ofOwners = new Map<string, Removed>();

  add({ owner, from, to, bytes }: Removed): void {
    const known = this.#ofOwners.get(owner);
    this.#ofOwners.set(owner, {
      owner,
      from: Math.min(known?.from ?? from, from),
      to: Math.max(known?.to ?? to, to),
      bytes: (known?.bytes ?? 0) + bytes,
    });
  }

  /** Takes the calls of an owner that had at least so many bytes; `undefined` if there is none. */
  take(bytes: number): Removed | undefined {
    for (const [owner, removed] of this.#ofOwners) {
      if (removed.bytes < bytes) continue;
      this.#ofOwners.delete(owner);
      return removed;
    }
    return undefined;
  }
}

/** Where these calls were stored. */
export const rangesOfRemoved = ({ owner, from, to }: Removed): Range[] =>
  (['call', 'call-part'] as const).map((kind) => ({
    gte: keyOf(kind, owner, from),
    lt: keyOf(kind, owner, to),
  }));

import { keyOf, type Range } from './keys.js';

/** Calls of an owner that were removed. */
interface Removed {
  from: number;
  /** Excluded. */
  to: number;
  bytes: number;
}

/** Ranges of removed calls that still take space, which LevelDB gives back when it compacts them. */
export class RemovedRanges {
  readonly #ofOwners = new Map<string, Removed>();

  add(owner: string, { from, to, bytes }: Removed): void {
    const known = this.#ofOwners.get(owner) ?? { from, to, bytes: 0 };
    this.#ofOwners.set(owner, {
      from: Math.min(known.from, from),
      to: Math.max(known.to, to),
      bytes: known.bytes + bytes,
    });
  }

  /** Takes the ranges of an owner with at least so many bytes; `undefined` if there is none. */
  take(bytes: number): Range[] | undefined {
    for (const [owner, removed] of this.#ofOwners) {
      if (removed.bytes < bytes) continue;
      this.#ofOwners.delete(owner);
      const { from, to } = removed;
      return (['call', 'call-part'] as const).map((kind) => ({
        gte: keyOf(kind, owner, from),
        lt: keyOf(kind, owner, to),
      }));
    }
    return undefined;
  }
}

/** What one request holds of a budget. */
export interface Holding {
  /** Counts more bytes, or fewer if negative. That may drop other holdings, and this one. */
  add(bytes: number): void;
  /** It can no longer be dropped. */
  keep(): void;
  /** Gives its bytes back. */
  close(): void;
}

interface Owner {
  bytes: number;
  /** In the order in which they were opened. */
  readonly droppable: Set<Entry>;
}

interface Entry {
  readonly owner: string;
  readonly drop: () => void;
  bytes: number;
}

const NOBODY: Owner = { bytes: 0, droppable: new Set() };

/**
 * Memory that the broker holds for its clients. If there is too much of it, in all or of one owner, the owner with the
 * most loses what it has held for longest. So neither slow clients nor many large requests of one owner keep the
 * requests of another from being served. A holding that is alone is never dropped, however large it is.
 */
export class ByteBudget {
  readonly #most: number;
  readonly #ownerMost: () => number;
  readonly #owners = new Map<string, Owner>();
  readonly #entries = new Set<Entry>();
  #bytes = 0;

  /** Both in bytes. @param ownerMost of one owner, now; half of all by default */
  constructor(most: number, ownerMost = (): number => most / 2) {
    this.#most = most;
    this.#ownerMost = ownerMost;
  }

  /** Bytes of all holdings. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @param drop frees the bytes at once; the holding is closed by then */
  open(owner: string, drop: () => void): Holding {
    const entry: Entry = { owner, drop, bytes: 0 };
    const holder = this.#owners.get(owner) ?? { bytes: 0, droppable: new Set() };
    this.#owners.set(owner, holder);
    holder.droppable.add(entry);
    this.#entries.add(entry);
    return {
      add: (bytes) => this.#add(entry, bytes),
      keep: () => void this.#owners.get(owner)?.droppable.delete(entry),
      close: () => this.#close(entry),
    };
  }

  #add(entry: Entry, bytes: number): void {
    const owner = this.#owners.get(entry.owner);
    if (owner === undefined || !this.#entries.has(entry)) return;
    entry.bytes += bytes;
    owner.bytes += bytes;
    this.#bytes += bytes;
    if (bytes <= 0) return;
    while (owner.bytes > this.#ownerMost() && this.#dropOldest(owner));
    while (this.#bytes > this.#most && this.#dropOldest(this.#largest()));
  }

  #close(entry: Entry): void {
    if (!this.#entries.delete(entry)) return;
    this.#bytes -= entry.bytes;
    const owner = this.#owners.get(entry.owner);
    if (owner === undefined) return;
    owner.bytes -= entry.bytes;
    owner.droppable.delete(entry);
    if (owner.bytes === 0 && owner.droppable.size === 0) this.#owners.delete(entry.owner);
  }

  /** The owner with the most bytes of those that have something to lose. */
  #largest(): Owner | undefined {
    let largest: Owner | undefined;
    for (const owner of this.#owners.values()) {
      if (owner.droppable.size > 0 && owner.bytes > (largest?.bytes ?? 0)) largest = owner;
    }
    return largest;
  }

  /** Those with less than half of the mean stay: to drop them frees little. */
  #dropOldest({ droppable } = NOBODY): boolean {
    let bytes = 0;
    for (const entry of droppable) bytes += entry.bytes;
    for (const entry of droppable) {
      if (entry.bytes === 0 || entry.bytes < bytes / droppable.size / 2) continue;
      if (entry.bytes === this.#bytes) return false;
      this.#close(entry);
      entry.drop();
      return true;
    }
    return false;
  }
}

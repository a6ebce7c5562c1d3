import type { Outcome } from '@panal/transport';

/** An outcome and its bytes: result, logs. */
export interface Letter {
  readonly outcome: Outcome;
  readonly parts: readonly Uint8Array[];
}

interface Kept extends Letter {
  sentAt: number;
}

/**
 * Outcomes that the broker has not acknowledged. Whatever becomes of a connection, an outcome is here until it is
 * stored on the other side, and is sent again until then; the broker settles each attempt once.
 */
export class Outbox {
  /** By lease, the one longest unsent first. */
  readonly #kept = new Map<string, Kept>();
  #onEmpty: (() => void)[] = [];

  /** @param now milliseconds on the clock that `stale` is asked by. */
  put({ outcome, parts }: Letter, now: number): void {
    this.#kept.set(outcome.lease, { outcome, parts, sentAt: now });
  }

  get size(): number {
    return this.#kept.size;
  }

  has(lease: string): boolean {
    return this.#kept.has(lease);
  }

  leases(): Iterable<string> {
    return this.#kept.keys();
  }

  acknowledge(leases: readonly string[]): void {
    for (const lease of leases) this.#kept.delete(lease);
    if (this.#kept.size > 0) return;
    for (const tell of this.#onEmpty.splice(0)) tell();
  }

  /** What was last sent `age` milliseconds ago or longer; it counts as sent again. */
  stale(age: number, now: number): Letter[] {
    const found: Kept[] = [];
    for (const letter of this.#kept.values()) {
      if (now - letter.sentAt < age) break;
      found.push(letter);
    }
    for (const letter of found) {
      letter.sentAt = now;
      this.#kept.delete(letter.outcome.lease);
      this.#kept.set(letter.outcome.lease, letter);
    }
    return found;
  }

  /** Resolves once nothing is left to be acknowledged. */
  async emptied(): Promise<void> {
    if (this.#kept.size === 0) return;
    await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
  }
}

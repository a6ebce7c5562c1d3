import type { Claim, Release } from '@panal/transport';

/** Claims kept at once; past it the first to be heard of is forgotten, and its work may be done twice. */
const MOST = 10_000;

interface Held {
  holder: string;
  /** On the monotonic clock, in ms. */
  until: number;
}

/**
 * Who makes what: a worker claims a name before it makes what goes by it, so that the others wait for it rather than
 * make the same. A claim lapses with its time, for its worker may be lost. Nothing is stored: a broker that starts anew
 * knows of no claim, and the worst that can come of it is work done twice.
 */
export class Claims {
  readonly #held = new Map<string, Held>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Whether the name is the holder's now; asked again it is so for longer. */
  claim({ name, holder, ms }: Claim): boolean {
    const now = this.#now();
    const held = this.#held.get(name);
    if (held !== undefined && held.holder !== holder && held.until > now) return false;
    this.#held.delete(name);
    this.#held.set(name, { holder, until: now + ms });
    const [oldest] = this.#held.keys();
    if (this.#held.size > MOST && oldest !== undefined) this.#held.delete(oldest);
    return true;
  }

  release({ name, holder }: Release): void {
    if (this.#held.get(name)?.holder === holder) this.#held.delete(name);
  }
}

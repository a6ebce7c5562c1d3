import type { Store } from '@panal/db';
import type { BundleRef } from '@panal/protocol';

/** Where uploaded code is kept. */
export interface Bundles {
  /** Takes in an uploaded file, which is gone afterwards; throws `PanalError` unless it is a sound archive. */
  adopt(file: string): Promise<BundleRef>;
  remove(sha256: string): Promise<void>;
}

/** Takes in uploaded code, and gives up what no version uses. */
export class Adoptions {
  readonly #store: Pick<Store, 'isBundleUsed'>;
  readonly #bundles: Bundles;
  /** Registrations that may be about to use a bundle which no version uses yet. */
  #underWay = 0;
  /** Bundles to be looked at again when there are none. */
  readonly #suspects = new Set<string>();

  constructor(store: Pick<Store, 'isBundleUsed'>, bundles: Bundles) {
    this.#store = store;
    this.#bundles = bundles;
  }

  /** Takes in an uploaded file, for `use` to make a version of; where that fails, it is given up again. */
  async adopt<T>(file: string, use: (bundle: BundleRef) => Promise<T>): Promise<T> {
    this.#underWay += 1;
    let unused: string | undefined;
    try {
      const bundle = await this.#bundles.adopt(file);
      unused = bundle.sha256;
      const used = await use(bundle);
      unused = undefined;
      return used;
    } finally {
      this.#underWay -= 1;
      if (unused !== undefined) this.#suspects.add(unused);
      if (this.#underWay === 0) await this.#discardSuspects();
    }
  }

  /** Removes a bundle that no version uses; while a registration could be about to use it, that is put off. */
  async discard(sha256: string): Promise<void> {
    this.#suspects.add(sha256);
    await this.#discardSuspects();
  }

  async #discardSuspects(): Promise<void> {
    for (const sha256 of [...this.#suspects]) await this.#look(sha256);
  }

  async #look(sha256: string): Promise<void> {
    try {
      const used = await this.#store.isBundleUsed(sha256);
      if (!used && this.#underWay > 0) return;
      this.#suspects.delete(sha256);
      if (!used) await this.#bundles.remove(sha256);
    } catch {
      // What was to be done has failed already, or is done; a bundle that stays is found by its disuse.
    }
  }
}

/** Who is at work on a user's behalf. */
export class Presence {
  readonly #present = new Map<string, Set<() => void>>();
  /** Those who wait until nobody works for a user any more. */
  readonly #watchers = new Map<string, (() => void)[]>();

  /**
   * Somebody begins to work for `user`.
   * @param end asks to come to an end, without delay.
   * @returns to be called when the work is over; once is enough, twice does no harm.
   */
  enter(user: string, end: () => void): () => void {
    // A function of its own for each, also where two are ended by the same.
    const entry = (): void => end();
    const present = this.#present.get(user);
    if (present === undefined) this.#present.set(user, new Set([entry]));
    else present.add(entry);
    return () => this.#leave(user, entry);
  }

  /** Ends all work for `user`; resolves when it is over. Nobody may enter for that user meanwhile. */
  async clear(user: string): Promise<void> {
    const present = this.#present.get(user);
    if (present === undefined) return;
    await new Promise<void>((resolve) => {
      this.#watchers.set(user, [...(this.#watchers.get(user) ?? []), resolve]);
      for (const end of present) end();
    });
  }

  #leave(user: string, entry: () => void): void {
    const present = this.#present.get(user);
    if (present?.delete(entry) !== true || present.size > 0) return;
    this.#present.delete(user);
    for (const resolve of this.#watchers.get(user) ?? []) resolve();
    this.#watchers.delete(user);
  }
}

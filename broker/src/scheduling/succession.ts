/**
 * Which versions are replaced, but not retired before their successor has served a call: make before break. Until then
 * the sandboxes kept for them serve the calls that were accepted with them, and a roll-back finds them warm.
 */
export class Succession {
  /** What waits to be retired, by the version that replaced it. */
  readonly #replaced = new Map<string, Set<string>>();

  /** `next` stands where `before` stood. */
  replace(before: string, next: string): void {
    const waiting = this.#replaced.get(before) ?? new Set();
    this.#replaced.delete(before);
    waiting.add(before);
    // It was replaced itself, and has come back.
    waiting.delete(next);
    this.#replaced.set(next, waiting);
  }

  /** A call of `id` was served: gives those that it replaced and that are not `busy`. They are to be retired now. */
  served(id: string, busy: (id: string) => boolean): string[] {
    const waiting = this.#replaced.get(id);
    if (waiting === undefined) return [];
    const free = [...waiting].filter((each) => !busy(each));
    for (const each of free) waiting.delete(each);
    if (waiting.size === 0) this.#replaced.delete(id);
    return free;
  }

  /** `id` is gone: gives those that waited for it. */
  forget(id: string): string[] {
    const waiting = this.#replaced.get(id) ?? [];
    this.#replaced.delete(id);
    return [...waiting];
  }
}

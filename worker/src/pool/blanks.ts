import type { GreedyDual } from './greedy-dual.js';
import { FIXED_KEEP_ALIVE_MS } from './preload.js';
import type { Blank, Prepared, SandboxDriver } from '../sandbox/sandbox.js';

/** A blank was taken within so many ms: the next function may come as soon. */
const BUSY_MS = 60_000;

export interface BlanksOptions {
  driver: Pick<SandboxDriver, 'preload'>;
  /** Counts the blanks that stand ready. */
  account: Pick<GreedyDual, 'add' | 'remove'>;
  /** As many blanks stand ready for `key`. */
  onHolds: (key: string, idle: number) => void;
  onError: (error: unknown, doing: string) => void;
}

interface Ready {
  readonly blank: Blank;
  readonly memoryMb: number;
}

/** Blanks that are interchangeable. */
class Kind {
  /** What the broker knows it by: `runtime:IMAGE`. */
  readonly key: string;
  /** The function that used it last: the next blank gets its limits. */
  like: Prepared;
  readonly ready: Ready[] = [];
  /** Memory in MiB of each that is being started. */
  readonly starting: number[] = [];
  usedAt = 0;
  takenAt = -Infinity;
  startMs = 0;
  /** One would not start, or died: none is started before the next use. */
  heldBack = false;
  gone = false;

  constructor(key: string, like: Prepared) {
    this.key = key;
    this.like = like;
  }

  isShort(now: number): boolean {
    const wanted = now - this.takenAt < BUSY_MS ? 2 : 1;
    return !this.heldBack && this.ready.length + this.starting.length < wanted;
  }
}

/**
 * Sandboxes that were started ahead of any function: one for each runtime in use here, two where they are taken. They
 * take room that nobody uses, and are the first to make room.
 */
export class Blanks {
  readonly #options: BlanksOptions;
  readonly #kinds = new Map<string, Kind>();
  readonly #told = new Map<string, number>();
  /** There was no room for another since the last sweep. */
  #full = false;

  constructor(options: BlanksOptions) {
    this.#options = options;
  }

  /** A call came of a function that could use a blank of this kind. */
  used(by: Prepared, now: number): void {
    if (by.blanks === undefined || by.spec.kind !== 'runtime') return;
    let kind = this.#kinds.get(by.blanks);
    if (kind === undefined) {
      kind = new Kind(`runtime:${by.spec.runtime.image}`, by);
      this.#kinds.set(by.blanks, kind);
    }
    kind.like = by;
    kind.usedAt = now;
    kind.heldBack = false;
  }

  /** For a call that came: a blank that can become a sandbox of its function, and what starting it took, in ms. */
  take(by: Prepared, now: number): { blank: Blank; startMs: number } | undefined {
    this.used(by, now);
    const { blanks } = by;
    const kind = blanks === undefined ? undefined : this.#kinds.get(blanks);
    const taken = kind?.ready[0];
    if (kind === undefined || taken === undefined) return undefined;
    this.#takeOut(kind, taken);
    kind.takenAt = now;
    return { blank: taken.blank, startMs: kind.startMs };
  }

  /** Memory in MiB of each blank that is being started. */
  get starting(): number[] {
    return [...this.#kinds.values()].flatMap(({ starting }) => starting);
  }

  /** Whether one is missing, and may have room. */
  isShort(now: number): boolean {
    if (this.#full) return false;
    for (const kind of this.#kinds.values()) if (kind.isShort(now)) return true;
    return false;
  }

  /**
   * Starts one that is missing, unless it has no room.
   * @param room gives the memory in MiB that another sandbox may take
   * @returns its start, which never rejects; `undefined` where there is nothing to start
   */
  startOne(now: () => number, room: () => number, signal: AbortSignal): Promise<void> | undefined {
    for (const kind of this.#kinds.values()) {
      if (!kind.isShort(now())) continue;
      if (kind.like.spec.settings.memoryMb <= room()) return this.#start(kind, now, room, signal);
      this.#full = true;
    }
    return undefined;
  }

  /** Removes one, of the runtime that was not used for longest; `false` where there is none. */
  dropOne(): boolean {
    let oldest: Kind | undefined;
    for (const kind of this.#kinds.values()) {
      if (kind.ready.length > 0 && kind.usedAt < (oldest?.usedAt ?? Infinity)) oldest = kind;
    }
    const dropped = oldest?.ready[0];
    if (oldest === undefined || dropped === undefined) return false;
    this.#discard(this.#takeOut(oldest, dropped));
    return true;
  }

  /** Lets those go whose runtime is no longer in use. */
  sweep(now: number): void {
    this.#full = false;
    for (const [name, kind] of this.#kinds) {
      if (now - kind.usedAt >= FIXED_KEEP_ALIVE_MS) this.#forget(name, kind);
    }
  }

  /** Tells the broker of all. */
  announce(): void {
    this.#told.clear();
    for (const { key } of this.#kinds.values()) this.#tell(key);
  }

  clear(): void {
    for (const [name, kind] of this.#kinds) this.#forget(name, kind);
  }

  async #start(kind: Kind, now: () => number, room: () => number, signal: AbortSignal): Promise<void> {
    const { like } = kind;
    const { memoryMb } = like.spec.settings;
    const began = now();
    kind.starting.push(memoryMb);
    try {
      const blank = await this.#options.driver.preload?.(like, signal);
      kind.starting.splice(kind.starting.indexOf(memoryMb), 1);
      kind.heldBack = blank === undefined;
      if (blank === undefined) return;
      kind.startMs = now() - began;
      if (kind.gone || memoryMb > room()) this.#discard(blank);
      else this.#putIn(kind, { blank, memoryMb });
    } catch (error) {
      kind.starting.splice(kind.starting.indexOf(memoryMb), 1);
      kind.heldBack = true;
      if (!signal.aborted) this.#options.onError(error, 'starting a sandbox ahead of calls');
    }
  }

  #putIn(kind: Kind, ready: Ready): void {
    kind.ready.push(ready);
    this.#options.account.add(ready.memoryMb);
    ready.blank.onExit = () => {
      kind.heldBack = true;
      this.#discard(this.#takeOut(kind, ready));
    };
    this.#tell(kind.key);
  }

  #takeOut(kind: Kind, ready: Ready): Blank {
    kind.ready.splice(kind.ready.indexOf(ready), 1);
    this.#options.account.remove(ready.memoryMb);
    ready.blank.onExit = undefined;
    this.#tell(kind.key);
    return ready.blank;
  }

  #forget(name: string, kind: Kind): void {
    kind.gone = true;
    this.#kinds.delete(name);
    for (const ready of [...kind.ready]) this.#discard(this.#takeOut(kind, ready));
  }

  #discard(blank: Blank): void {
    blank.onExit = undefined;
    blank.remove().catch((error: unknown) => this.#options.onError(error, 'removing a sandbox'));
  }

  /** Runtimes of one image may have their code at several paths: the broker tells them not apart. */
  #tell(key: string): void {
    let idle = 0;
    for (const kind of this.#kinds.values()) if (kind.key === key) idle += kind.ready.length;
    if ((this.#told.get(key) ?? 0) === idle) return;
    if (idle === 0) this.#told.delete(key);
    else this.#told.set(key, idle);
    this.#options.onHolds(key, idle);
  }
}

import { type FunctionSpec } from '@panal/protocol';
import { asError } from '@panal/support';
import { Blanks } from './blanks.js';
import { GreedyDual, type Budget } from './greedy-dual.js';
import type { PreloadPolicy } from './preload.js';
import type { Prepared, Sandbox, SandboxDriver } from '../sandbox/sandbox.js';
import { Shelf } from './shelf.js';

/** Takes the answer of a fresh call that came from the pool from 15 ms to 9, on two cores. */
const AFTER_CALL_MS = 10;

export interface SandboxPoolOptions {
  driver: Pick<SandboxDriver, 'start' | 'preload'>;
  policy: PreloadPolicy;
  budget: Budget;
  /** Most sandboxes that are started at once. */
  parallelStarts: number;
  /** As many sandboxes of a function stand idle (`key` is its id), or blanks of a runtime (`runtime:IMAGE`). */
  onHolds: (key: string, idle: number) => void;
  /** What goes wrong in the background. */
  onError: (error: unknown, doing: string, spec?: FunctionSpec) => void;
  /** Monotonic ms. */
  now?: () => number;
}

/**
 * The sandboxes of a worker that do not run a call: kept for the next call of their function, started ahead of it as
 * the preload policy says, within a budget. Past the budget greedy-dual evicts (FaasCache, ASPLOS 2021): the clock
 * plus frequency × start cost / memory is a sandbox's priority, the lowest goes, and the clock rises to it, so that
 * what was not used for long falls behind what is used now.
 * Blanks, which are no function's yet, take what room is left.
 *
 * A call that finds none idle waits here; whichever sandbox of its function is ready first, started or given back,
 * goes to the call that waits longest.
 */
export class SandboxPool {
  readonly #options: SandboxPoolOptions;
  readonly #now: () => number;
  readonly #greedyDual: GreedyDual;
  readonly #blanks: Blanks;
  readonly #shelves = new Map<string, Shelf>();
  /** Functions with a call that waits for a start, in the order of those calls. */
  readonly #queue: Shelf[] = [];
  readonly #closing = new AbortController();
  #starting = 0;

  constructor(options: SandboxPoolOptions) {
    this.#options = options;
    this.#greedyDual = new GreedyDual(options.budget);
    this.#blanks = new Blanks({ ...options, account: this.#greedyDual });
    this.#now = options.now ?? (() => performance.now());
  }

  /** Sandboxes that stand idle, blanks included. */
  get idle(): number {
    return this.#greedyDual.sandboxes;
  }

  /** A call of the function came; `leave` must follow. */
  enter(spec: FunctionSpec): Shelf {
    let shelf = this.#shelves.get(spec.id);
    if (shelf !== undefined && !isOf(shelf, spec)) {
      this.retire(spec.id);
      shelf = undefined;
    }
    if (shelf === undefined) this.#shelves.set(spec.id, (shelf = new Shelf(spec)));
    shelf.running++;
    shelf.frequency++;
    shelf.plan = this.#options.policy.callArrived(spec.id, this.#now());
    if (shelf.prepared !== undefined) this.#blanks.used(shelf.prepared, this.#now());
    shelf.touch();
    // The broker counts one sandbox less as soon as it sends a call.
    if (shelf.told > 0) shelf.told--;
    return shelf;
  }

  /** An idle sandbox of the function, the one used last. */
  take(shelf: Shelf): Sandbox | undefined {
    const taken = shelf.idle.pop();
    if (taken === undefined) return undefined;
    this.#greedyDual.remove(shelf.spec.settings.memoryMb);
    taken.sandbox.onExit = undefined;
    return taken.sandbox;
  }

  /**
   * Makes one of a blank, or waits for one that is started, or given back by another call.
   * @throws what starting threw, or the reason of `signal`.
   */
  async acquire(shelf: Shelf, prepared: Prepared, signal: AbortSignal): Promise<Sandbox> {
    signal.throwIfAborted();
    shelf.prepared = prepared;
    const taken = this.#blanks.take(prepared, this.#now());
    const bound = taken === undefined ? undefined : await taken.blank.bind(prepared);
    if (taken === undefined || bound === undefined) return await this.#wait(shelf, signal);
    shelf.startMs ||= taken.startMs;
    bound.preloaded = true;
    if (!signal.aborted) return bound;
    this.#offer(shelf, bound);
    throw asError(signal.reason);
  }

  async #wait(shelf: Shelf, signal: AbortSignal): Promise<Sandbox> {
    const sandbox = shelf.wait(this.#now(), signal);
    this.#queue.push(shelf);
    this.#serveWaiting();
    return await sandbox;
  }

  /**
   * The call has ended. Its sandbox is kept, goes to a call that waits, or is removed in the background.
   * @returns whether it stands idle now, which the broker has to be told by the call's outcome.
   */
  leave(shelf: Shelf, sandbox?: Sandbox, reusable = false): boolean {
    const before = shelf.idle.length;
    const { id } = shelf.spec;
    shelf.running--;
    if (!shelf.retired) this.#follow(shelf, this.#options.policy.callEnded(id, this.#now()));
    if (sandbox !== undefined) {
      sandbox.preloaded = false;
      if (reusable && shelf.reuses) this.#offer(shelf, sandbox);
      else this.#afterCall(() => this.discard(sandbox));
    }
    const kept = shelf.idle.length > before;
    if (kept) shelf.told++;
    this.#changed(shelf);
    if (shelf.isShort || this.#blanks.isShort(this.#now())) this.#afterCall(() => this.#pump());
    return kept;
  }

  /** Does what nobody waits for when the call's answer is on its way: the engine takes the machine for itself. */
  #afterCall(work: () => void): void {
    setTimeout(work, AFTER_CALL_MS).unref();
  }

  /** Removes a sandbox that no call will have any more. */
  discard(sandbox: Sandbox): void {
    sandbox.onExit = undefined;
    sandbox.remove().catch((error: unknown) => this.#options.onError(error, 'removing a sandbox'));
  }

  /** The function is gone: what is idle is removed, what runs will be when its call ends. */
  retire(functionId: string): void {
    this.#options.policy.forget(functionId);
    const shelf = this.#shelves.get(functionId);
    if (shelf === undefined) return;
    shelf.retired = true;
    this.#shelves.delete(functionId);
    this.#clear(shelf);
    this.#tell(shelf);
  }

  /** Lets plans lapse whose time has come, and starts what is short. To be called about once a second. */
  sweep(): void {
    const now = this.#now();
    for (const shelf of this.#shelves.values()) {
      // Counting apart, the two may have come apart: around a lost connection, say.
      if (shelf.isQuiet()) this.#options.onHolds(shelf.spec.id, shelf.idle.length);
      if (shelf.plan.until > now) continue;
      this.#follow(shelf, this.#options.policy.lapsed(shelf.spec.id, now));
      this.#changed(shelf);
    }
    this.#blanks.sweep(now);
    this.#pump();
  }

  /** How many sandboxes stand idle for each function; the broker is told all of it. */
  announce(): void {
    this.#blanks.announce();
    for (const shelf of this.#shelves.values()) {
      shelf.told = 0;
      this.#tell(shelf);
    }
  }

  /** Stops what is being started, and keeps nothing from now on. */
  close(): void {
    this.#closing.abort();
    this.#blanks.clear();
    for (const functionId of [...this.#shelves.keys()]) this.retire(functionId);
  }

  /** Starts sandboxes while it may: first for calls that wait, then ahead of calls. */
  #pump(): void {
    this.#serveWaiting();
    while (this.#mayStart) {
      const shelf = this.#nextShort();
      if (shelf?.prepared === undefined) break;
      void this.#start(shelf, shelf.prepared, () => this.#pump());
    }
    while (this.#mayStart) {
      const start = this.#blanks.startOne(this.#now, () => this.#room, this.#closing.signal);
      if (start === undefined) return;
      this.#starting++;
      void start.then(() => {
        this.#starting--;
        this.#pump();
      });
    }
  }

  #serveWaiting(): void {
    while (this.#mayStart) {
      const shelf = this.#nextWaitedFor();
      if (shelf?.prepared === undefined) return;
      // What comes after is not started ahead at once: the call that begins now should have the machine.
      void this.#start(shelf, shelf.prepared, () => this.#serveWaiting());
    }
  }

  get #mayStart(): boolean {
    return this.#starting < this.#options.parallelStarts && !this.#closing.signal.aborted;
  }

  #nextWaitedFor(): Shelf | undefined {
    for (;;) {
      const shelf = this.#queue.shift();
      if (shelf === undefined || shelf.waiters.length > shelf.starting) return shelf;
    }
  }

  get #room(): number {
    return this.#greedyDual.room(this.#shelves.values(), this.#blanks.starting);
  }

  /** What is started ahead never evicts: it takes room that nobody uses. */
  #nextShort(): Shelf | undefined {
    const room = this.#room;
    for (const shelf of this.#shelves.values()) {
      if (shelf.isShort && shelf.spec.settings.memoryMb <= room) return shelf;
    }
    return undefined;
  }

  async #start(shelf: Shelf, prepared: Prepared, then: () => void): Promise<void> {
    const { lifecycle } = shelf.spec.settings;
    const began = this.#now();
    this.#starting++;
    shelf.starting++;
    try {
      const sandbox = await this.#options.driver.start(prepared, lifecycle, this.#closing.signal);
      shelf.starting--;
      shelf.startMs = this.#now() - began;
      // Whoever does not wait since before the start gets a sandbox that was started ahead.
      sandbox.preloaded = (shelf.waiters[0]?.since ?? Infinity) > began;
      this.#offer(shelf, sandbox);
    } catch (error) {
      shelf.starting--;
      if (!shelf.startFailed(error) && !this.#closing.signal.aborted) {
        this.#options.onError(error, 'starting a sandbox ahead of calls', shelf.spec);
      }
    } finally {
      this.#starting--;
      this.#changed(shelf);
      then();
    }
  }

  #offer(shelf: Shelf, sandbox: Sandbox): void {
    const waiter = shelf.waiters.shift();
    if (waiter !== undefined) waiter.take(sandbox);
    else if (shelf.retired || !shelf.plan.keep) this.discard(sandbox);
    else this.#shelve(shelf, sandbox);
  }

  #shelve(shelf: Shelf, sandbox: Sandbox): void {
    shelf.idle.push({ sandbox, since: this.#greedyDual.clock });
    this.#greedyDual.add(shelf.spec.settings.memoryMb);
    sandbox.onExit = () => this.#died(shelf, sandbox);
    this.#evict();
  }

  #died(shelf: Shelf, sandbox: Sandbox): void {
    const at = shelf.idle.findIndex((each) => each.sandbox === sandbox);
    if (at === -1) return;
    shelf.idle.splice(at, 1);
    this.#greedyDual.remove(shelf.spec.settings.memoryMb);
    shelf.holdBack();
    this.discard(sandbox);
    this.#changed(shelf);
  }

  #evict(): void {
    while (this.#greedyDual.isOver && this.#blanks.dropOne());
    for (;;) {
      const victim = this.#greedyDual.victim(this.#shelves.values());
      if (victim === undefined) return;
      this.#dropOldest(victim);
      this.#changed(victim);
    }
  }

  #follow(shelf: Shelf, plan: Shelf['plan']): void {
    shelf.plan = plan;
    if (!plan.keep) this.#clear(shelf);
  }

  #clear(shelf: Shelf): void {
    while (shelf.idle.length > 0) this.#dropOldest(shelf);
  }

  #dropOldest(shelf: Shelf): void {
    const oldest = shelf.idle.shift();
    if (oldest === undefined) return;
    this.#greedyDual.remove(shelf.spec.settings.memoryMb);
    this.discard(oldest.sandbox);
  }

  /** After any change: tells the broker, and forgets a shelf that nothing comes to. */
  #changed(shelf: Shelf): void {
    shelf.touch();
    this.#tell(shelf);
    if (!shelf.isDone || this.#shelves.get(shelf.spec.id) !== shelf) return;
    this.#shelves.delete(shelf.spec.id);
    this.#options.onHolds(shelf.spec.id, 0);
  }

  #tell(shelf: Shelf): void {
    if (shelf.told === shelf.idle.length) return;
    shelf.told = shelf.idle.length;
    this.#options.onHolds(shelf.spec.id, shelf.told);
  }
}

/** Whether its sandboxes are of the image that the version is bound to by now. */
function isOf({ prepared, spec: first }: Shelf, spec: FunctionSpec): boolean {
  const bound = spec.imageDigest;
  return bound === undefined || (prepared?.spec ?? first).imageDigest === bound;
}

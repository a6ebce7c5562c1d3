/** What should stand ready for a function, until something happens to it or `until` comes. */
export interface Plan {
  /** Sandboxes that should be there for coming calls; what is missing is started ahead of them. */
  readonly ahead: number;
  /** Whether sandboxes that stand idle may stay. */
  readonly keep: boolean;
  /** Milliseconds, on the clock that events are told by, at which to ask `lapsed`; `Infinity`: not at all. */
  readonly until: number;
}

/**
 * Decides what is started ahead of calls, and how long what is idle stays. Pure: it is told what happens to each
 * function, and when (milliseconds on a clock that never goes back), and answers with a plan.
 */
export interface PreloadPolicy {
  callArrived(functionId: string, now: number): Plan;
  callEnded(functionId: string, now: number): Plan;
  /** The plan's `until` has come, and nothing had happened. */
  lapsed(functionId: string, now: number): Plan;
  /** The function is gone. */
  forget(functionId: string): void;
}

/** What is idle stays, as long as the budget lets it; nothing is started. */
export const LEAVE: Plan = { ahead: 0, keep: true, until: Infinity };
/** Nothing should be there. */
export const CLEAR: Plan = { ahead: 0, keep: false, until: Infinity };

/** Keep-alive of clouds that know nothing of a function's history ("Serverless in the Wild", section 2). */
export const FIXED_KEEP_ALIVE_MS = 10 * 60_000;

/** Starts nothing ahead of calls, and leaves what is idle to the budget. */
export class NoPreload implements PreloadPolicy {
  callArrived(): Plan {
    return LEAVE;
  }

  callEnded(): Plan {
    return LEAVE;
  }

  lapsed(): Plan {
    return LEAVE;
  }

  forget(): void {
    // It remembers nothing.
  }
}

const PEAK_WINDOW_MS = 60_000;

/** How many calls of a function ran at once of late: the most in this window of a minute and the one before. */
export class Demand {
  running = 0;
  #peak = 0;
  #peakBefore = 0;
  #windowEnd = 0;

  arrived(now: number): void {
    this.#roll(now);
    this.running++;
    this.#peak = Math.max(this.#peak, this.running);
  }

  ended(now: number): void {
    this.#roll(now);
    if (this.running > 0) this.running--;
  }

  get peak(): number {
    return Math.max(this.#peak, this.#peakBefore);
  }

  #roll(now: number): void {
    if (now < this.#windowEnd) return;
    this.#peakBefore = now < this.#windowEnd + PEAK_WINDOW_MS ? this.#peak : this.running;
    this.#peak = this.running;
    this.#windowEnd = now + PEAK_WINDOW_MS;
  }
}

/**
 * Keeps as many sandboxes of a function in use ready as it had calls at once of late, and lets all go when it was
 * not called for `keepAliveMs`.
 */
export class DemandPolicy implements PreloadPolicy {
  readonly #most: number;
  readonly #keepAliveMs: number;
  readonly #demand = new Map<string, Demand>();

  /** @param most sandboxes of one function, however many calls it has: the worker's slots. */
  constructor(most: number, keepAliveMs = FIXED_KEEP_ALIVE_MS) {
    this.#most = most;
    this.#keepAliveMs = keepAliveMs;
  }

  callArrived(functionId: string, now: number): Plan {
    let demand = this.#demand.get(functionId);
    if (demand === undefined) this.#demand.set(functionId, (demand = new Demand()));
    demand.arrived(now);
    return this.#plan(demand, now);
  }

  callEnded(functionId: string, now: number): Plan {
    const demand = this.#demand.get(functionId);
    if (demand === undefined) return LEAVE;
    demand.ended(now);
    return this.#plan(demand, now);
  }

  lapsed(functionId: string): Plan {
    this.#demand.delete(functionId);
    return CLEAR;
  }

  forget(functionId: string): void {
    this.#demand.delete(functionId);
  }

  #plan(demand: Demand, now: number): Plan {
    const until = demand.running > 0 ? Infinity : now + this.#keepAliveMs;
    return { ahead: Math.min(demand.peak, this.#most), keep: true, until };
  }
}

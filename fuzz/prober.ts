import fc from 'fast-check';
import { eventually } from '../testkit/wait.js';
import type { TargetFigures } from './report.js';
import type { Session, Shot, Surroundings, Target, Vitals } from './target.js';

/** Between two looks at whether everything serves still. */
const VOLLEYS_A_CANARY = 20;
/** Between two looks at memory and the like. */
const INPUTS_A_ROUND = 500;
/** A round is over by then, with the search of the smallest input that shows a fault. */
const ROUND_MS = 120_000;
/** Volleys before the one that showed a fault that are kept with it. */
const KEPT = VOLLEYS_A_CANARY;

/** How late an event loop may ever be, on a machine that has other things to do as well. */
const MOST_DELAY_MS = 1500;
/** What memory may grow by between the first quarter of a run and its last. */
const MOST_GROWTH_MIB = 96;
/** Handles that may be there in the end and were not in the beginning: connections that clients keep alive. */
const MOST_NEW_HANDLES = 16;

export interface Fault {
  what: string;
  /** What to throw to see it: the smallest that was found, or where one alone does not show it, the last ones. */
  volleys: readonly (readonly Shot[])[];
}

export interface ProbeOptions {
  seed: number;
  inputs: number;
  budgetMs?: number;
  /** Ends it before its time. */
  signal?: AbortSignal;
}

/** Throws inputs at a target until they are enough or one shows a fault. */
export class Prober {
  readonly #target: Target;
  readonly #surroundings: Surroundings;
  #session: Session | undefined;
  #fed = 0;
  #volleys = 0;
  #lately: (readonly Shot[])[] = [];
  #fault: Fault | undefined;
  readonly #vitals: Vitals[] = [];

  constructor(target: Target, surroundings: Surroundings) {
    this.#target = target;
    this.#surroundings = surroundings;
  }

  async probe({ seed, inputs, budgetMs = Infinity, signal }: ProbeOptions): Promise<TargetFigures> {
    const begun = performance.now();
    try {
      const session = await this.#open();
      await session.canary();
      const atFirst = await session.vitals();
      for (let round = 0; this.#fed < inputs && this.#fault === undefined; round++) {
        signal?.throwIfAborted();
        if (performance.now() - begun > budgetMs) break;
        await this.#round(seed + round, Math.min(INPUTS_A_ROUND, inputs - this.#fed), signal);
      }
      this.#fault ??= await this.#judge(atFirst);
    } finally {
      await this.#close();
    }
    return {
      name: this.#target.name,
      inputs: this.#fed,
      seconds: (performance.now() - begun) / 1000,
      rssMiB: [median(this.#vitals.slice(0, this.#quarter)), median(this.#vitals.slice(-this.#quarter))],
      longestDelayMs: Math.max(0, ...this.#vitals.map(({ delayMs }) => delayMs)),
      fault: this.#fault,
    };
  }

  /** Throws these once more. @throws Error where they show a fault still */
  async replay(volleys: readonly (readonly Shot[])[]): Promise<void> {
    try {
      const session = await this.#open();
      await session.canary();
      for (const volley of volleys) await session.feed(volley);
      await session.canary();
    } finally {
      await this.#close();
    }
  }

  get #quarter(): number {
    return Math.max(1, Math.floor(this.#vitals.length / 4));
  }

  async #round(seed: number, inputs: number, signal?: AbortSignal): Promise<void> {
    const { shots, volley } = await this.#open();
    const volleys = fc.array(shots, { minLength: 1, maxLength: volley, size: 'max' });
    const property = fc.asyncProperty(volleys, async (each) => {
      if (signal?.aborted !== true) await this.#throw(each);
    });
    const numRuns = Math.ceil(inputs / volley);
    const found = await fc.check(property, { seed, numRuns, interruptAfterTimeLimit: ROUND_MS });
    if (this.#fault !== undefined) {
      const [smallest] = found.counterexample ?? [];
      if (smallest !== undefined) await this.#settleOn(smallest);
      return;
    }
    this.#vitals.push(await (await this.#open()).vitals());
  }

  async #throw(volley: readonly Shot[]): Promise<void> {
    const isSearch = this.#fault !== undefined;
    const session = await this.#open();
    if (!isSearch) {
      this.#fed += volley.length;
      this.#lately = [...this.#lately, volley].slice(-KEPT);
    }
    try {
      await session.feed(volley);
      if (isSearch || ++this.#volleys % VOLLEYS_A_CANARY === 0) await session.canary();
    } catch (error) {
      this.#fault ??= { what: messageOf(error), volleys: this.#lately };
      await this.#close();
      throw error;
    }
  }

  /** Keeps the smallest input instead of all the last ones, if it shows the fault by itself. */
  async #settleOn(smallest: readonly Shot[]): Promise<void> {
    const seen = await this.replay([smallest]).then(
      () => undefined,
      (error: unknown) => messageOf(error),
    );
    if (seen !== undefined) this.#fault = { what: seen, volleys: [smallest] };
  }

  /** What was seen of it over the whole run, once all inputs are over. */
  async #judge(atFirst: Vitals): Promise<Fault | undefined> {
    const session = await this.#open();
    const fault = (what: string): Fault => ({ what, volleys: this.#lately });
    try {
      await session.canary();
      const most = atFirst.handles + MOST_NEW_HANDLES;
      await eventually(
        `no more than ${most} handles`,
        async () => (await session.vitals()).handles <= most,
        15_000,
      );
    } catch (error) {
      return fault(messageOf(error));
    }
    const late = Math.max(...this.#vitals.map(({ delayMs }) => delayMs));
    if (late > MOST_DELAY_MS) return fault(`the event loop was late by ${late.toFixed(0)} ms`);
    const [before, after] = [this.#vitals.slice(0, this.#quarter), this.#vitals.slice(-this.#quarter)].map(
      median,
    );
    const growth = (after ?? 0) - (before ?? 0);
    if (growth > MOST_GROWTH_MIB) return fault(`memory grew by ${growth.toFixed(0)} MiB`);
    return undefined;
  }

  async #open(): Promise<Session> {
    return (this.#session ??= await this.#target.open(this.#surroundings));
  }

  async #close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function median(vitals: readonly Vitals[]): number {
  const sorted = vitals.map(({ rssMiB }) => rssMiB).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

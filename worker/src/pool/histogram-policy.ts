import { IdleHistogram } from './idle-histogram.js';
import { CLEAR, Demand, FIXED_KEEP_ALIVE_MS, LEAVE, type Plan, type PreloadPolicy } from './preload.js';

/** What is known of a function; the histogram is the most of it. */
interface History {
  readonly demand: Demand;
  readonly idle: IdleHistogram;
  lastEnd: number | undefined;
  /** When what was preloaded, or kept, is let go again. */
  keepUntil: number;
}

/** The paper's figures: shares of idle times that are cut off at both ends, and the margin for error. */
const HEAD = 0.05;
const TAIL = 0.99;
const MARGIN = 0.1;
/** A histogram whose bin counts vary less than this tells nothing. */
const REPRESENTATIVE_VARIATION = 2;
const MIN_SAMPLES = 10;
/** With more than this share of idle times beyond the histogram, it is not the pattern. */
const MAX_OUT_OF_RANGE = 0.5;

export interface HistogramPolicyOptions {
  /** Most sandboxes of one function: the worker's slots. */
  most: number;
  /** How long what is idle stays where no pattern is known, in ms. */
  keepAliveMs?: number;
  /** Histories kept; past it the oldest function is forgotten. */
  functions?: number;
}

/**
 * The hybrid histogram policy of "Serverless in the Wild" (Shahrad et al., ATC 2020, section 4.2): from the idle
 * times of each function it learns when the next call comes. A function that is idle for 55 to 65 minutes between
 * calls has no sandbox for the first 46, and one from then until minute 79. Where there is no pattern, or not yet, what
 * is idle stays for a fixed time. (The paper's third leg, ARIMA for idle times beyond 4 hours, is left out: a start costs
 * such a function little.)
 */
export class HistogramPolicy implements PreloadPolicy {
  readonly #most: number;
  readonly #keepAliveMs: number;
  readonly #functions: number;
  readonly #histories = new Map<string, History>();

  constructor(options: HistogramPolicyOptions) {
    this.#most = options.most;
    this.#keepAliveMs = options.keepAliveMs ?? FIXED_KEEP_ALIVE_MS;
    this.#functions = options.functions ?? 10_000;
  }

  callArrived(functionId: string, now: number): Plan {
    const history = this.#historyOf(functionId);
    if (history.demand.running === 0 && history.lastEnd !== undefined) {
      history.idle.record(now - history.lastEnd);
    }
    history.demand.arrived(now);
    return this.#present(history, Infinity);
  }

  callEnded(functionId: string, now: number): Plan {
    const history = this.#histories.get(functionId);
    if (history === undefined) return LEAVE;
    history.demand.ended(now);
    if (history.demand.running > 0) return this.#present(history, Infinity);
    history.lastEnd = now;
    const window = this.#window(history);
    history.keepUntil = now + window.to;
    if (window.from > 0) return { ahead: 0, keep: false, until: now + window.from };
    return this.#present(history, history.keepUntil);
  }

  lapsed(functionId: string, now: number): Plan {
    const history = this.#histories.get(functionId);
    if (history === undefined || now >= history.keepUntil) return CLEAR;
    return this.#present(history, history.keepUntil);
  }

  forget(functionId: string): void {
    this.#histories.delete(functionId);
  }

  #present(history: History, until: number): Plan {
    return { ahead: Math.min(history.demand.peak, this.#most), keep: true, until };
  }

  /** Milliseconds after a call's end: when a sandbox should be there again, and until when. */
  #window({ idle }: History): { from: number; to: number } {
    const representative =
      idle.samples >= MIN_SAMPLES &&
      idle.outOfRange <= MAX_OUT_OF_RANGE &&
      idle.variation >= REPRESENTATIVE_VARIATION;
    if (!representative) return { from: 0, to: this.#keepAliveMs };
    const { from, to } = idle.span(HEAD, TAIL);
    return { from: from * (1 - MARGIN), to: to * (1 + MARGIN) };
  }

  #historyOf(functionId: string): History {
    let history = this.#histories.get(functionId);
    if (history !== undefined) return history;
    history = { demand: new Demand(), idle: new IdleHistogram(), lastEnd: undefined, keepUntil: 0 };
    this.#histories.set(functionId, history);
    if (this.#histories.size > this.#functions) {
      const [oldest] = this.#histories.keys();
      if (oldest !== undefined) this.#histories.delete(oldest);
    }
    return history;
  }
}

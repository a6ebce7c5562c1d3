import { z } from 'zod';
import { resultOf } from './functions.js';
import type { Ledger } from './ledger.js';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../testkit/wait.js';

const callSchema = z.object({
  callNum: z.number(),
  status: z.string(),
  params: z.object({ token: z.string() }),
  result: z.string().optional(),
  attempts: z.number(),
  settledAt: z.string().optional(),
  putBackAt: z.string().optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});
type Call = z.infer<typeof callSchema>;

/** What went against a promise, a line each. */
export interface Findings {
  lost: string[];
  settledTwice: string[];
  doubled: string[];
  other: string[];
}

/** How a call fails whose process was killed. */
const KILLED = ['FUNCTION_KILLED', 'FUNCTION_FAILED'];
const UNSETTLED = ['PENDING', 'RUNNING'];

/** Compares what clients were told with what the broker has. */
export class Audit {
  readonly findings: Findings = { lost: [], settledTwice: [], doubled: [], other: [] };
  /** Calls that gave up and were put back; calls whose process was killed as a fault. */
  putBack = 0;
  readonly killed = new Set<number>();
  calls = 0;
  /** Calls that a power cut took, by token, each with how long before it the answer was given, in ms. */
  readonly tookByPower = new Map<string, number>();
  readonly #url: string;
  readonly #ledger: Ledger;
  /** How each call ended, as it was seen first. */
  readonly #ends = new Map<number, string>();
  readonly #callOf = new Map<string, number>();
  #checkedEntries = 0;
  #checkedCalls = 0;

  constructor(url: string, ledger: Ledger) {
    this.#url = url;
    this.#ledger = ledger;
  }

  /** Waits until every call has ended, those put back that gave up. */
  async settled(ms = 60_000): Promise<void> {
    await eventually(
      'every call has ended',
      async () => {
        const dead = await this.#page('status=DEAD&limit=1000');
        for (const { callNum } of dead) await this.#putBack(callNum);
        if (dead.length > 0) return false;
        for (const status of UNSETTLED) {
          if ((await this.#page(`status=${status}&limit=1`)).length > 0) return false;
        }
        return true;
      },
      ms,
    );
  }

  /**
   * Looks at what is new, or with `all` at everything once more.
   * @param mayFail whether function bodies were killed since
   */
  async check({ all, mayFail }: { all: boolean; mayFail: boolean }): Promise<void> {
    const found = await this.#since(all ? 0 : this.#checkedCalls);
    for (const call of found.values()) this.#checkCall(call, mayFail);
    const entries = all ? this.#ledger.entries : this.#ledger.entries.slice(this.#checkedEntries);
    for (const { token, callNum, result, unsafeMs } of entries) {
      if (callNum === undefined) continue;
      const call = found.get(callNum);
      if (call === undefined && unsafeMs !== undefined) {
        this.tookByPower.set(token, unsafeMs);
        continue;
      }
      if (call?.params.token !== token) this.findings.lost.push(`call ${callNum} of ${token}`);
      else if (result !== undefined && (call.status !== 'DONE' || call.result !== result)) {
        this.findings.other.push(
          `${token} was told ${result}, call ${callNum} is ${call.status} ${call.result ?? ''}`,
        );
      }
    }
    this.#checkedEntries = this.#ledger.entries.length;
    this.#checkedCalls = Math.max(this.#checkedCalls, ...found.keys());
    this.calls = Math.max(this.calls, this.#ends.size);
  }

  #checkCall(call: Call, mayFail: boolean): void {
    const { callNum, status, params, result, error } = call;
    const { lost, settledTwice, doubled, other } = this.findings;
    if (UNSETTLED.includes(status)) lost.push(`call ${callNum} has not ended: ${status}`);
    const end = JSON.stringify([status, result, call.attempts, call.settledAt]);
    const before = this.#ends.get(callNum) ?? end;
    if (before !== end && call.putBackAt === undefined)
      settledTwice.push(`call ${callNum}: ${before}, then ${end}`);
    this.#ends.set(callNum, end);
    if (status === 'DONE' && result !== resultOf(params.token)) {
      other.push(`call ${callNum} of ${params.token} gave ${result ?? 'nothing'}`);
    }
    const byRight = this.killed.has(callNum) || (mayFail && KILLED.includes(error?.code ?? ''));
    if (status === 'FAILED' && byRight) this.killed.add(callNum);
    else if (status !== 'DONE') {
      other.push(`call ${callNum} is ${status}: ${error?.code ?? ''} ${error?.message ?? ''}`);
    }
    const first = this.#callOf.get(params.token) ?? callNum;
    if (first !== callNum) doubled.push(`${params.token} is call ${first} and call ${callNum}`);
    this.#callOf.set(params.token, first);
  }

  async #putBack(callNum: number): Promise<void> {
    const answer = await fetch(`${this.#url}/call/${callNum}/retry`, { method: 'POST' });
    await answer.text();
    if (answer.status === 202) this.putBack++;
    else await pause(50);
  }

  /** Every call after `callNum`. */
  async #since(callNum: number): Promise<Map<number, Call>> {
    const calls = new Map<number, Call>();
    for (let before = ''; ;) {
      const page = await this.#page(`limit=1000${before}`);
      for (const call of page) if (call.callNum > callNum) calls.set(call.callNum, call);
      const last = page.at(-1);
      if (last === undefined || last.callNum <= callNum || page.length < 1000) return calls;
      before = `&before=${last.callNum}`;
    }
  }

  /** Newest first. */
  async #page(query: string): Promise<Call[]> {
    const answer = await fetch(`${this.#url}/calls?${query}`);
    return Object.values(z.record(z.string(), callSchema).parse(await answer.json()));
  }
}

import type { CallQuery, CallRecord } from '@panal/db';
import type { ActiveCall } from './active-call.js';

/** How many there are of each key. */
class Tally {
  readonly #counts = new Map<string, number>();

  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  add(key: string, change: 1 | -1): void {
    const count = this.of(key) + change;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }
}

/** The calls that have not ended, by number; and how many they are of each owner and version. */
export class ActiveCalls {
  readonly #calls = new Map<number, ActiveCall>();
  readonly #owners = new Tally();
  readonly #versions = new Tally();
  readonly #running = new Tally();

  get size(): number {
    return this.#calls.size;
  }

  get(callNum: number): ActiveCall | undefined {
    return this.#calls.get(callNum);
  }

  has(callNum: number): boolean {
    return this.#calls.has(callNum);
  }

  /** How many an owner has. */
  ofOwner(owner: string): number {
    return this.#owners.of(owner);
  }

  /** How many were accepted with a version, by its id. */
  ofVersion(functionId: string): number {
    return this.#versions.of(functionId);
  }

  /** How many of an owner's run now. */
  runningOf(owner: string): number {
    return this.#running.of(owner);
  }

  add(call: ActiveCall): void {
    const { callNum, owner, functionId } = call.record;
    this.#calls.set(callNum, call);
    this.#owners.add(owner, 1);
    this.#versions.add(functionId, 1);
  }

  /** The worker has an attempt of the call. */
  started(call: ActiveCall, workerId: string): void {
    if (call.record.status !== 'RUNNING') this.#running.add(call.record.owner, 1);
    call.started(workerId);
  }

  /** No worker has it any more. */
  queued(call: ActiveCall): void {
    if (call.record.status === 'RUNNING') this.#running.add(call.record.owner, -1);
    call.queued();
  }

  /** It has ended, though its record does not say so yet. */
  remove({ record: { callNum, owner, functionId, status } }: ActiveCall): void {
    if (!this.#calls.delete(callNum)) return;
    this.#owners.add(owner, -1);
    this.#versions.add(functionId, -1);
    if (status === 'RUNNING') this.#running.add(owner, -1);
  }

  allOf(owner: string): ActiveCall[] {
    return [...this.#calls.values()].filter(({ record }) => record.owner === owner);
  }

  /** Since when the call waits that waits longest, in epoch ms; it looks at no more calls than run or back off. */
  waitingSince(): number | undefined {
    // In the order of their acceptance.
    for (const { record, job } of this.#calls.values()) {
      if (record.status === 'PENDING' && job !== undefined) return record.notBefore ?? record.acceptedAt;
    }
    return undefined;
  }

  /** Newest first. */
  list({ owner, status, funcName, before, limit }: CallQuery): CallRecord[] {
    return [...this.#calls.values()]
      .map(({ record }) => record)
      .filter(
        (record) =>
          record.owner === owner &&
          record.status === status &&
          (funcName === undefined || record.funcName === funcName) &&
          (before === undefined || record.callNum < before),
      )
      .sort((a, b) => b.callNum - a.callNum)
      .slice(0, limit);
  }
}

import type { CallQuery, CallRecord, VersionRecord } from '@panal/db';
import type { ActiveCall } from './active-call.js';
import { CallMemory } from './call-memory.js';
import { NumberLine } from './number-line.js';

/** The calls of an owner that have not ended. */
class OwnerCalls {
  readonly all = new NumberLine();
  readonly byFunction = new Map<string, NumberLine>();
  /** Those that run, by number. */
  readonly running = new Map<number, ActiveCall>();
  /** Of their parameters. */
  bytes = 0;

  lineOf(funcName: string | undefined): NumberLine | undefined {
    return funcName === undefined ? this.all : this.byFunction.get(funcName);
  }
}

/** A version with calls that have not ended. */
interface UsedVersion {
  version: VersionRecord;
  calls: number;
}

/** The calls that have not ended: by number, by owner and function in the order of their numbers, and by version. */
export class ActiveCalls {
  readonly #calls = new Map<number, ActiveCall>();
  readonly #owners = new Map<string, OwnerCalls>();
  readonly #versions = new Map<string, UsedVersion>();
  #bytes = 0;
  readonly memory: CallMemory;

  /** @param memoryBytes for long parameters, and for versions */
  constructor(memoryBytes = Infinity) {
    this.memory = new CallMemory(memoryBytes);
  }

  /** Bytes of the parameters of all, in memory or not. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The same of one owner's. */
  bytesOf(owner: string): number {
    return this.#owners.get(owner)?.bytes ?? 0;
  }

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
    return this.#owners.get(owner)?.all.size ?? 0;
  }

  /** The version of this id, while calls that were accepted with it have not ended. */
  readonly version = (functionId: string): VersionRecord | undefined =>
    this.#versions.get(functionId)?.version;

  /** How many of an owner's run now. */
  runningOf(owner: string): number {
    return this.#owners.get(owner)?.running.size ?? 0;
  }

  add(call: ActiveCall): void {
    const { callNum, owner, functionId, funcName } = call.record;
    this.#calls.set(callNum, call);
    const used = this.#versions.get(functionId);
    if (used === undefined) {
      this.#versions.set(functionId, { version: call.version, calls: 1 });
      this.memory.add(call.version);
    } else used.calls++;
    const calls = this.#owners.get(owner) ?? new OwnerCalls();
    this.#owners.set(owner, calls);
    const line = calls.byFunction.get(funcName) ?? new NumberLine();
    calls.byFunction.set(funcName, line);
    calls.all.add(callNum);
    line.add(callNum);
    calls.bytes += call.size;
    this.#bytes += call.size;
  }

  /** The worker has an attempt of the call. */
  started(call: ActiveCall, workerId: string): void {
    call.started(workerId);
    this.#owners.get(call.record.owner)?.running.set(call.record.callNum, call);
  }

  /** No worker has it any more. */
  queued(call: ActiveCall): void {
    this.#owners.get(call.record.owner)?.running.delete(call.record.callNum);
    call.queued();
  }

  /** It has ended, though its record does not say so yet. */
  remove(call: ActiveCall): void {
    const { callNum, owner, functionId, funcName } = call.record;
    if (!this.#calls.delete(callNum)) return;
    this.memory.release(call);
    this.#release(functionId);
    this.#bytes -= call.size;
    const calls = this.#owners.get(owner);
    if (calls === undefined) return;
    calls.bytes -= call.size;
    calls.running.delete(callNum);
    calls.all.delete(callNum);
    if (calls.all.size === 0) this.#owners.delete(owner);
    const line = calls.byFunction.get(funcName);
    line?.delete(callNum);
    if (line?.size === 0) calls.byFunction.delete(funcName);
  }

  #release(functionId: string): void {
    const used = this.#versions.get(functionId);
    if (used === undefined || --used.calls > 0) return;
    this.#versions.delete(functionId);
    this.memory.remove(used.version);
  }

  allOf(owner: string): ActiveCall[] {
    const numbers = this.#owners.get(owner)?.all.newest() ?? [];
    return Array.from(numbers, (callNum) => this.#calls.get(callNum)).filter((call) => call !== undefined);
  }

  /** Since when the call waits that waits longest, in epoch ms; it looks at no more calls than run or back off. */
  waitingSince(): number | undefined {
    // In the order of their acceptance.
    for (const { record, job } of this.#calls.values()) {
      if (record.status === 'PENDING' && job !== undefined) return record.notBefore ?? record.acceptedAt;
    }
    return undefined;
  }

  /** Newest first; it looks at no more calls than it gives, and than run of this owner. */
  list({ owner, status, funcName, before = Infinity, limit }: CallQuery): CallRecord[] {
    const calls = this.#owners.get(owner);
    const found: CallRecord[] = [];
    if (calls === undefined) return found;
    const running = Array.from(calls.running.keys()).sort((a, b) => b - a);
    const numbers = status === 'RUNNING' ? running : calls.lineOf(funcName)?.newest(before);
    for (const callNum of numbers ?? []) {
      if (found.length === limit) break;
      const record = this.#calls.get(callNum)?.record;
      if (record === undefined || record.status !== status || callNum >= before) continue;
      if (funcName === undefined || record.funcName === funcName) found.push(record);
    }
    return found;
  }
}

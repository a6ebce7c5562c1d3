import { isSettled } from '@panal/protocol';
import { decodeCall, INLINE_BYTES, LIST_BYTES } from './call-codec.js';
import type { Write } from './log/log.js';
import { keyOf, secondOf, under } from './keys.js';
import type { Medium } from './medium.js';
import { encodeJson } from './record-codec.js';
import { CALL_PARTS, sizeOfPart, type CallPart, type CallRecord } from './records.js';
import { Addition, NO_SUM, sumSchema, type Sum } from './sums.js';

/** The key of the sum of settled calls, of an owner or of all. */
const usageKey = (owner?: string): string =>
  owner === undefined ? keyOf('call-usage') : keyOf('call-usage', owner);

/** About how many bytes the record of a call and its index entries take, without names, message and parts. */
const RECORD_BYTES = 512;
/** How many times the names of owner and function are stored for a call. */
const NAMES = 3;

/** Bytes that a settled call takes, before compression: the same number when it settles and when it is removed. */
export function sizeOfCall(call: CallRecord): number {
  const { owner, funcName, error } = call;
  const names = NAMES * (owner.length + funcName.length);
  const parts = CALL_PARTS.reduce((sum, part) => sum + storedBytes(part, sizeOfPart(call, part)), 0);
  return RECORD_BYTES + names + Buffer.byteLength(error?.message ?? '') + parts;
}

/** A long result, or long logs, are stored twice in part: the whole apart, and the beginning in the record. */
function storedBytes(part: CallPart, size: number): number {
  const isTwice = part !== 'params' && size > INLINE_BYTES[part];
  return isTwice ? size + Math.min(size, LIST_BYTES) : size;
}

/** Adds a call that settled to the sums. */
export const writesOfOneMore = (call: CallRecord): Write[] =>
  writesOfUsage(call.owner, { calls: 1, bytes: sizeOfCall(call) });

/** Subtracts a settled call that is removed or put back. */
export const writesOfOneLess = (call: CallRecord): Write[] =>
  writesOfUsage(call.owner, { calls: -1, bytes: -sizeOfCall(call) });

/** Subtracts all calls of an owner that is removed. */
export const writesOfNone = (owner: string, { calls, bytes }: Sum): Write[] => [
  [usageKey(owner), undefined],
  [usageKey(), new Addition({ calls: -calls, bytes: -bytes })],
];

function writesOfUsage(owner: string, sum: Sum): Write[] {
  const addition = new Addition(sum);
  return [
    [usageKey(owner), addition],
    [usageKey(), addition],
  ];
}

/** Settled calls of `owner`, or of all. */
export async function callUsage(medium: Medium, owner?: string): Promise<Sum> {
  return (await medium.getJson(usageKey(owner), sumSchema)) ?? NO_SUM;
}

/** Counts, once, the calls of a store, or of a backup, that an earlier version of Panal made without sums. */
export async function countUncounted(medium: Medium): Promise<void> {
  if (await medium.has(usageKey())) return;
  const all = { ...NO_SUM };
  const owners = new Map<string, Sum>();
  await medium.read(async (database) => {
    for await (const [key, value] of database.iterator(under(keyOf('call')))) {
      const bytes = settledBytes(value);
      if (bytes === undefined) continue;
      const owner = secondOf(key);
      const own = owners.get(owner) ?? { ...NO_SUM };
      owners.set(owner, own);
      for (const sum of [own, all]) {
        sum.calls += 1;
        sum.bytes += bytes;
      }
    }
  });
  if (owners.size === 0) return;
  const sums = [...owners].map(([owner, sum]): Write => [usageKey(owner), encodeJson(sum)]);
  await medium.commit([...sums, [usageKey(), encodeJson(all)]]);
}

/** The size of a settled call; `undefined` for any other, and for one that cannot be read, which retention keeps. */
function settledBytes(value: Uint8Array): number | undefined {
  try {
    const call = decodeCall(value);
    return isSettled(call.status) ? sizeOfCall(call) : undefined;
  } catch {
    return undefined;
  }
}

import { CALL_STATUSES, isSettled, type CallStatus } from '@panal/protocol';
import { writesOfOneLess, writesOfOneMore } from './call-usage.js';
import { encodeCall, INLINE_BYTES, longPartsOf } from './call-codec.js';
import type { Write } from './log/log.js';
import { keyOf, under, upTo, type Range } from './keys.js';
import { CALL_PARTS, type CallPart, type CallRecord } from './records.js';
import type { CallQuery } from './store.js';

/** The status of every stored call that is not settled. */
export const UNSETTLED: CallStatus = 'PENDING';
const UNSETTLED_KEY = keyOf('call-by-status', UNSETTLED);

/** The entries of every unsettled call, by owner. */
export const UNSETTLED_ENTRIES = under(UNSETTLED_KEY);

const NOTHING = Buffer.alloc(0);

/**
 * What a call that is not settled writes: all that is kept of it, also when it was stored before, so that it depends on
 * no earlier write. It is kept as PENDING also while an attempt runs, for the store outlives attempts.
 * @param run the run of the broker that has the call
 */
export function writesOfUnsettled(call: CallRecord, run: Uint8Array): Write[] {
  if (isSettled(call.status)) throw new TypeError(`an unsettled call cannot be ${call.status}`);
  return [[callKey(call), encodeCall(call, UNSETTLED)], ...partsOf(call), ...entries(call, UNSETTLED, run)];
}

/**
 * What a call that ended writes.
 * @param unwritten nothing of it was ever stored: there are no entries to remove
 */
export function writesOfSettled(call: CallRecord, { unwritten = false } = {}): Write[] {
  if (!isSettled(call.status)) throw new TypeError(`a settled call cannot be ${call.status}`);
  const writes: Write[] = [
    [callKey(call), encodeCall(call)],
    ...partsOf(call),
    ...entries(call, call.status, NOTHING),
    ...writesOfOneMore(call),
  ];
  if (!unwritten) writes.push(...entries(call, UNSETTLED, undefined));
  return writes;
}

/**
 * What a call that was `DEAD` and was put back writes.
 * @param dead the call as it is stored
 */
export function writesOfPutBack(call: CallRecord, dead: CallRecord, run: Uint8Array): Write[] {
  return [
    [partKey(call, 'result'), undefined],
    ...writesOfUnsettled(call, run),
    ...entries(call, 'DEAD', undefined),
    ...writesOfOneLess(dead),
  ];
}

/** What a settled call writes that is kept no longer. */
export function writesOfRemovedCall(call: CallRecord): Write[] {
  const parts = CALL_PARTS.filter((part) => call.apart?.[part] !== undefined);
  return [
    [callKey(call), undefined],
    ...parts.map((part): Write => [partKey(call, part), undefined]),
    ...entries(call, call.status, undefined),
    ...writesOfOneLess(call),
  ];
}

/** Where a part of a call is kept that is apart from its record. */
export function partKey({ owner, callNum }: Pick<CallRecord, 'owner' | 'callNum'>, part: CallPart): string {
  return keyOf('call-part', owner, callNum, part);
}

/** The parts that are kept apart; and of logs the absence, for those of an earlier attempt may have been long. */
function partsOf(call: CallRecord): Write[] {
  const writes = longPartsOf(call).map(([part, bytes]): Write => [partKey(call, part), bytes]);
  const { logs, attempts } = call;
  if (
    attempts > 1 &&
    logs !== undefined &&
    logs.byteLength <= INLINE_BYTES.logs &&
    call.apart?.logs === undefined
  ) {
    writes.push([partKey(call, 'logs'), undefined]);
  }
  return writes;
}

/** The part of the index that answers a query by status, function or both: keys that end in call numbers. */
export function rangesOf({ owner, before, status, funcName }: CallQuery): Range[] {
  if (funcName !== undefined) {
    const statuses = status === undefined ? CALL_STATUSES : [status];
    return statuses.map((each) => upTo(keyOf('call-by-function', owner, funcName, each), before));
  }
  if (status !== undefined) return [upTo(keyOf('call-by-status', status, owner), before)];
  return [upTo(keyOf('call', owner), before)];
}

/** The key of the call that one of `UNSETTLED_ENTRIES` stands for: the two end in the same parts. */
export function callKeyOf(entry: string): string {
  return keyOf('call') + entry.slice(UNSETTLED_KEY.length);
}

function callKey({ owner, callNum }: CallRecord): string {
  return keyOf('call', owner, callNum);
}

function entries(call: CallRecord, status: CallStatus, value: Uint8Array | undefined): Write[] {
  const { owner, funcName, callNum } = call;
  return [
    [keyOf('call-by-status', status, owner, callNum), value],
    [keyOf('call-by-function', owner, funcName, status, callNum), value && NOTHING],
  ];
}

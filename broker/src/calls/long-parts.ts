import { CALL_PARTS, copyOfCall, LIST_BYTES, sizeOfPart, type CallRecord } from '@panal/db';

const NOTHING = new Uint8Array(0);

/** A stored call without its long parts. `Calls.whole` reads them again. */
export function withoutLongParts(call: CallRecord): CallRecord {
  const short = copyOfCall(call);
  for (const part of CALL_PARTS) {
    const size = sizeOfPart(call, part);
    if (size <= LIST_BYTES) continue;
    short.apart = { ...short.apart, [part]: size };
    short[part] = NOTHING;
  }
  return short;
}

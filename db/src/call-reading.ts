import { PanalError } from '@panal/protocol';
import { decodeCall } from './call-codec.js';
import { partKey } from './call-index.js';
import type { Database, Snapshot } from './database.js';
import type { Medium } from './medium.js';
import { decodeValue } from './record-codec.js';
import { CALL_PARTS, type CallRecord } from './records.js';

/** The call at `key`, with those of its long parts that have at most `limit` bytes. */
export async function readCall(medium: Medium, key: string, limit: number): Promise<CallRecord | undefined> {
  const short = await medium.get(key, decodeCall);
  if (!Object.values(short?.apart ?? {}).some((size) => size !== undefined && size <= limit)) return short;
  return await medium.read(async (database) => {
    // Again, of one moment, so that the parts are those of the record.
    const snapshot = database.snapshot();
    try {
      const [call] = await readCalls(database, [key], snapshot);
      return call && (await withParts(database, call, limit, snapshot));
    } finally {
      await snapshot.close();
    }
  });
}

/** The calls at `keys`, in their order, without those that are not there. */
export async function readCalls(
  database: Database,
  keys: string[],
  snapshot?: Snapshot,
): Promise<CallRecord[]> {
  const values: (Uint8Array | undefined)[] = await database.getMany(keys, { snapshot });
  return keys.flatMap((key, index) => {
    const value = values[index];
    return value === undefined ? [] : [decodeValue(key, value, decodeCall)];
  });
}

/** The call with those of its parts that are kept apart and have at most `limit` bytes. */
export async function withParts(
  database: Database,
  call: CallRecord,
  limit: number,
  snapshot: Snapshot,
): Promise<CallRecord> {
  const { apart = {} } = call;
  const parts = CALL_PARTS.filter((part) => apart[part] !== undefined && apart[part] <= limit);
  if (parts.length === 0) return call;
  const keys = parts.map((part) => partKey(call, part));
  const values: (Uint8Array | undefined)[] = await database.getMany(keys, { snapshot });
  const whole = { ...call };
  const left = { ...apart };
  for (const [index, part] of parts.entries()) {
    const value = values[index];
    if (value === undefined) throw new PanalError('INTERNAL', 'a part of a stored call is missing');
    whole[part] = value;
    left[part] = undefined;
  }
  if (Object.values(left).some((size) => size !== undefined)) whole.apart = left;
  else delete whole.apart;
  return whole;
}

import type { Write } from './log/log.js';
import { keyOf, under, upTo } from './keys.js';
import type { Medium } from './medium.js';
import { decodeValue, encodeJson, jsonDecoder } from './record-codec.js';
import type { CallKey, CallRecord, KeyedCall } from './records.js';
import { keyedCallSchema } from './schemas.js';
import type { KeyStore } from './store.js';

/** Keys forgotten at once. */
const EXPIRY_PAGE = 1000;

/**
 * What a key adds to the writes of its call. The time is part of where it stands, so that a key that is used anew
 * after it expired is another one, and forgetting the old one cannot touch it.
 */
export function writesOfKey(
  { owner, callNum, acceptedAt }: CallRecord,
  { name, fingerprint }: CallKey,
): Write[] {
  const at = keyOf('call-key', owner, name, acceptedAt);
  const value: KeyedCall = { callNum, fingerprint, acceptedAt };
  return [
    [at, encodeJson(value)],
    [keyOf('call-key-by-time', acceptedAt, owner, name), Buffer.from(at)],
  ];
}

/** The keys of calls of a `LevelStore`. */
export class LevelKeys implements KeyStore {
  readonly #medium: Medium;

  constructor(medium: Medium) {
    this.#medium = medium;
  }

  async getKeyedCall(owner: string, key: string): Promise<KeyedCall | undefined> {
    const range = under(keyOf('call-key', owner, key));
    const [newest] = await this.#medium.read((database) =>
      database.iterator({ ...range, reverse: true, limit: 1 }).all(),
    );
    return newest && decodeValue(newest[0], newest[1], jsonDecoder(keyedCallSchema));
  }

  async expireCallKeys(time: number, signal?: AbortSignal): Promise<void> {
    const range = upTo(keyOf('call-key-by-time'), time);
    while (signal?.aborted !== true) {
      const page = await this.#medium.read((database) =>
        database.iterator({ ...range, limit: EXPIRY_PAGE }).all(),
      );
      if (page.length === 0) return;
      await this.#medium.commit(
        page.flatMap(([entry, at]): Write[] => [
          [entry, undefined],
          [Buffer.from(at).toString(), undefined],
        ]),
        'later',
      );
    }
  }
}

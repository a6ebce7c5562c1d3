import { LIST_BYTES, type CallQuery, type CallRecord } from '@panal/db';
import { KeyedLock } from '@panal/support';
import { callJson } from './call-json.js';
import type { CallService } from '../services.js';

/** Calls that are read at once. */
const READ_AT_ONCE = 16;

/** A page of calls. */
export interface CallPage {
  /** `{"c2":{…},"c1":{…}}` */
  json: string;
  /** Where there is more: it comes before this number. */
  next: number | undefined;
}

/**
 * Makes pages of calls, newest first, of a few calls at a time; and for each owner one page after the other, so that
 * however many are asked for, no more calls of an owner's are in memory.
 */
export class CallPages {
  readonly #calls: Pick<CallService, 'list'>;
  readonly #lock = new KeyedLock();

  constructor(calls: Pick<CallService, 'list'>) {
    this.#calls = calls;
  }

  async read(query: CallQuery): Promise<CallPage> {
    return await this.#lock.run(query.owner, () => this.#read(query));
  }

  async #read({ limit, ...query }: CallQuery): Promise<CallPage> {
    const shown: string[] = [];
    let last: number | undefined;
    for (;;) {
      const wanted = Math.min(READ_AT_ONCE, limit + 1 - shown.length);
      const found: CallRecord[] = await this.#calls.list({
        ...query,
        limit: wanted,
        ...(last !== undefined && { before: last }),
      });
      for (const call of found) {
        if (shown.length === limit) return { json: `{${shown.join(',')}}`, next: last };
        shown.push(`"c${call.callNum}":${callJson(call, LIST_BYTES)}`);
        last = call.callNum;
      }
      if (found.length < wanted) return { json: `{${shown.join(',')}}`, next: undefined };
    }
  }
}

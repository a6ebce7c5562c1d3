import { KeyedLock, type CallQuery, type CallRecord } from '@panal/db';
import { isSettled } from '@panal/protocol';
import { callJson } from './call-json.js';
import type { CallService } from './services.js';

/** In a list, results, logs and parameters are shown up to this size, in bytes. */
const SHOWN_IN_LIST = 16 * 1024;

/** Calls that are read at once: each may have many megabytes, of which a list shows little. */
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
    // Those that have not ended are in memory anyway, and are all looked at each time.
    const piece = query.status === undefined || isSettled(query.status) ? READ_AT_ONCE : limit + 1;
    const shown: string[] = [];
    let last: number | undefined;
    for (;;) {
      const wanted = Math.min(piece, limit + 1 - shown.length);
      const found: CallRecord[] = await this.#calls.list({
        ...query,
        limit: wanted,
        ...(last !== undefined && { before: last }),
      });
      for (const call of found) {
        if (shown.length === limit) return { json: `{${shown.join(',')}}`, next: last };
        shown.push(`"c${call.callNum}":${callJson(call, SHOWN_IN_LIST)}`);
        last = call.callNum;
      }
      if (found.length < wanted) return { json: `{${shown.join(',')}}`, next: undefined };
    }
  }
}

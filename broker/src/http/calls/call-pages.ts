import { LIST_BYTES, type CallQuery, type CallRecord } from '@panal/db';
import { callJson } from './call-json.js';
import type { CallService } from '../services.js';

/** Calls that are read at once. */
const READ_AT_ONCE = 16;

/** Characters after which a page ends early, so that it is no larger than one call may be. */
const PAGE_LENGTH = 32 * 1024 * 1024;

/** A page of calls. */
export interface CallPage {
  /** `{"c2":{…},"c1":{…}}` */
  json: string;
  /** Where there is more: it comes before this number. */
  next: number | undefined;
}

/** Makes a page of calls, newest first, of a few calls at a time. */
export async function callPage(
  calls: Pick<CallService, 'list'>,
  { limit, ...query }: CallQuery,
): Promise<CallPage> {
  const shown: string[] = [];
  let length = 0;
  let last: number | undefined;
  for (;;) {
    const wanted = Math.min(READ_AT_ONCE, limit + 1 - shown.length);
    const found: CallRecord[] = await calls.list({
      ...query,
      limit: wanted,
      ...(last !== undefined && { before: last }),
    });
    for (const call of found) {
      if (shown.length === limit || length > PAGE_LENGTH) return { json: `{${shown.join(',')}}`, next: last };
      const json = `"c${call.callNum}":${callJson(call, LIST_BYTES)}`;
      shown.push(json);
      length += json.length;
      last = call.callNum;
    }
    if (found.length < wanted) return { json: `{${shown.join(',')}}`, next: undefined };
  }
}

import { isSettled, routes, type AcceptedCall, type Call, type CallStatus } from '@panal/api';
import { acceptedOf, accepting, type CallAnswer, type StartOptions } from './accepting.js';
import { followCall, type FollowOptions } from './follow.js';
import type { Http, RequestOptions } from './http.js';
import { liveLogs, type LogEvent } from './logs.js';
import { nextQuery } from './pages.js';

/** Which calls a list has. */
export interface CallQuery {
  /** Only calls with a smaller number. */
  before?: number;
  status?: CallStatus;
  /** Only calls of this function. */
  funcName?: string;
}

/** A page of calls, newest first. Long parameters are left out, long results and logs cut: `truncated` says so. */
export interface CallPage {
  calls: Call[];
  /** `before` of the next page; `undefined` on the last page. */
  next: number | undefined;
  /** The JSON of the page as the broker wrote it: an object of the calls. */
  json: string;
}

/** Calls of functions. */
export class Calls {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /**
   * Accepts a call: once this resolves, the call is stored and will run.
   * @param params any JSON value, or a `JsonText`; `undefined` for no parameter
   * @returns the call if it ended within `wait`, else its number
   * @throws ApiError FUNCTION_NOT_FOUND, QUEUE_FULL, NO_CONTAINER_ENGINE, NO_WORKER_FITS, STORE_UNAVAILABLE
   */
  async start(
    name: string,
    params?: unknown,
    options: StartOptions = {},
  ): Promise<CallAnswer | AcceptedCall> {
    const json = { funcName: name, params };
    return acceptedOf(await this.#http.json(routes.invokeFunction, { json, ...accepting(options) }));
  }

  /** @throws ApiError CALL_NOT_FOUND */
  async get(callNum: number, { signal }: RequestOptions = {}): Promise<CallAnswer> {
    const { value, text } = await this.#http.json(routes.getCall, { params: { callNum }, signal });
    return { ...value, json: text };
  }

  /** Cancels a call. @throws ApiError CALL_NOT_FOUND, CALL_SETTLED */
  async cancel(callNum: number, { signal }: RequestOptions = {}): Promise<CallAnswer> {
    const { value, text } = await this.#http.json(routes.cancelCall, { params: { callNum }, signal });
    return { ...value, json: text };
  }

  /** Puts a call back that is `DEAD`. @throws ApiError CALL_NOT_FOUND, CALL_NOT_DEAD, VERSION_NOT_FOUND */
  async retry(callNum: number, { signal }: RequestOptions = {}): Promise<CallAnswer> {
    const { value, text } = await this.#http.json(routes.retryCall, { params: { callNum }, signal });
    return { ...value, json: text };
  }

  /** A page of calls. @param limit 1 to 1000; default: 100 */
  async page(query: CallQuery & { limit?: number } = {}, { signal }: RequestOptions = {}): Promise<CallPage> {
    const { value, text, headers } = await this.#http.json(routes.listCalls, { query, signal });
    const before = nextQuery(headers)?.before;
    return {
      calls: Object.values(value),
      next: before === undefined ? undefined : Number(before),
      json: text,
    };
  }

  /** Calls, newest first; a page at a time is asked for when it is needed. */
  async *list(query: CallQuery = {}, options: RequestOptions = {}): AsyncGenerator<Call, void, undefined> {
    let next = query.before;
    do {
      const page = await this.page({ ...query, ...(next !== undefined && { before: next }) }, options);
      yield* page.calls;
      next = page.next;
    } while (next !== undefined);
  }

  /** The logs of a call as they are now. @throws ApiError CALL_NOT_FOUND */
  async logText(callNum: number, { signal }: RequestOptions = {}): Promise<string> {
    const query = { follow: '0' } as const;
    const { bytes } = await this.#http.bytes(routes.callLogs, { params: { callNum }, query, signal });
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  }

  /** The logs of a call from their beginning to its end, as they come. @throws ApiError CALL_NOT_FOUND */
  logs(callNum: number, options: RequestOptions = {}): AsyncGenerator<LogEvent, void, undefined> {
    return liveLogs(this.#http, callNum, options);
  }

  /**
   * Waits for the end of a call, also if the broker starts anew meanwhile. If `signal` aborts, the call goes on.
   * @throws ApiError CALL_NOT_FOUND
   */
  async wait(callNum: number, options: FollowOptions = {}): Promise<CallAnswer> {
    return await followCall(this, callNum, options);
  }
}

/** Whether a call has ended. */
export const hasEnded = ({ status }: Pick<Call, 'status'>): boolean => isSettled(status);

/** The result of a call as bytes. */
export function resultBytes({ result = '', resultEncoding }: Call): Uint8Array<ArrayBuffer> {
  if (resultEncoding === undefined) return new TextEncoder().encode(result);
  return Uint8Array.from(atob(result), (character) => character.charCodeAt(0));
}

import { routes, type WorkerView } from '@panal/api';
import { newKey, type CallAnswer } from './accepting.js';
import { Calls } from './calls.js';
import type { FollowOptions } from './follow.js';
import { Functions } from './functions.js';
import { Http, type Credentials, type Fetch, type RequestOptions } from './http.js';
import { numberOf } from './errors.js';
import { Runtimes } from './runtimes.js';
import { Users } from './users.js';

export interface PanalOptions {
  /** Where the cluster is, such as `http://127.0.0.1:3000`; a path is kept as a prefix. */
  url: string;
  /** Who the client acts for; default: nobody, which is the owner `public`. */
  credentials?: Credentials | undefined;
  /** Sends requests; default: the global `fetch`. In Node.js, one with its own dispatcher sets time-outs and proxies. */
  fetch?: Fetch | undefined;
  /**
   * How often a request is sent again if its connection fails; default: 2. Only requests that change nothing, or that
   * have an idempotency key, are repeated.
   */
  retries?: number | undefined;
}

export interface InvokeOptions extends FollowOptions {
  /** See `StartOptions`. */
  idempotencyKey?: string | undefined;
}

export interface RunOptions extends RequestOptions {
  /**
   * What happens to the call if the connection ends before the answer: `cancel`, the default, or `keep`. With `keep`
   * the request has an idempotency key, and is sent again if the connection fails.
   */
  onDisconnect?: 'cancel' | 'keep' | undefined;
  /** Names the request: sent again within a day, it gives the same call. */
  idempotencyKey?: string | undefined;
}

/** What a function wrote. */
export interface RunResult {
  callNum: number;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Seconds for which `invoke` lets the broker wait before it follows the call by its logs. */
const FIRST_WAIT_SECONDS = 30;

/**
 * A Panal cluster.
 *
 * Every method rejects with an `ApiError` if the broker refuses the request, a `ConnectionError` if no answer comes, an
 * `UnexpectedAnswerError` if the answer is not Panal's, and with the reason of `signal` if that aborts.
 */
export class Panal {
  readonly users: Users;
  readonly runtimes: Runtimes;
  readonly functions: Functions;
  readonly calls: Calls;
  readonly #http: Http;

  /** @throws TypeError if `url` is not an HTTP URL */
  constructor(options: PanalOptions) {
    this.#http = new Http(options);
    this.users = new Users(this.#http);
    this.runtimes = new Runtimes(this.#http);
    this.functions = new Functions(this.#http);
    this.calls = new Calls(this.#http);
  }

  /** Base URL of the cluster, in its normal form. */
  get url(): string {
    return this.#http.url;
  }

  /**
   * Calls a function and waits for the end of the call, which may have failed: see its `status` and `error`. If `signal`
   * aborts, the call goes on; use `calls.start`, `calls.wait` and `calls.cancel` to stop it.
   * @param params any JSON value, or a `JsonText`; `undefined` for no parameter
   * @throws ApiError FUNCTION_NOT_FOUND, QUEUE_FULL, NO_CONTAINER_ENGINE, NO_WORKER_FITS, STORE_UNAVAILABLE
   */
  async invoke(
    name: string,
    params?: unknown,
    { idempotencyKey, ...following }: InvokeOptions = {},
  ): Promise<CallAnswer> {
    const { signal, onLogs } = following;
    const wait = onLogs === undefined ? FIRST_WAIT_SECONDS : 0;
    const started = await this.calls.start(name, params, { wait, idempotencyKey, signal });
    return 'json' in started ? started : await this.calls.wait(started.callNum, following);
  }

  /**
   * Calls a function with a body as it is, and waits for what it writes.
   * @throws ApiError with the code of the failure, its `callNum` and the end of its logs as `detail` if the call fails
   */
  async run(
    name: string,
    body?: string | Blob | Uint8Array<ArrayBuffer>,
    { onDisconnect = 'cancel', idempotencyKey, signal }: RunOptions = {},
  ): Promise<RunResult> {
    const key = idempotencyKey ?? (onDisconnect === 'keep' ? newKey() : undefined);
    const { bytes, headers } = await this.#http.bytes(routes.run, {
      params: { funcName: name },
      query: { onDisconnect },
      body,
      headers: key === undefined ? {} : { 'Idempotency-Key': key },
      signal,
    });
    return { callNum: numberOf(headers.get('X-Call-Num')) ?? 0, bytes };
  }

  /** The connected workers. */
  async workers({ signal }: RequestOptions = {}): Promise<WorkerView[]> {
    return (await this.#http.json(routes.listWorkers, { signal })).value;
  }

  /** Why the cluster cannot serve calls now, a sentence each; empty if it can. */
  async problems({ signal }: RequestOptions = {}): Promise<string[]> {
    const { value } = await this.#http.json(routes.readiness, { signal });
    return value.status === 'ready' ? [] : value.problems;
  }

  /** The metrics of the broker, in the text format of Prometheus. */
  async metrics({ signal }: RequestOptions = {}): Promise<string> {
    return new TextDecoder().decode((await this.#http.bytes(routes.metrics, { signal })).bytes);
  }

  /**
   * A copy of all that the broker keeps, as a tar archive. The client's token must be the operator's.
   * @throws ApiError UNAUTHORIZED, FORBIDDEN if the broker has no operator
   */
  async backup({ signal }: RequestOptions = {}): Promise<
    AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined>
  > {
    return await this.#http.stream(routes.backup, { signal });
  }
}

import type { AnswerJson, RouteDescription } from '@panal/api';
import { ConnectionError, errorOf, jsonOf } from './errors.js';
import { textOf } from './json-text.js';

/** The part of `fetch` that the client needs. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Who the client acts for: a user by name and password, or by a token. */
export type Credentials = { user: string; password: string } | { token: string };

/** Options of every request. */
export interface RequestOptions {
  /** Aborts the request; the promise is then rejected with the signal's reason. */
  signal?: AbortSignal | undefined;
}

interface Schema<T> {
  _zod: { output: T };
}
type ParamsOf<D> = D extends { params: Schema<infer T> } ? { params: T } : { params?: undefined };
type QueryOf<D> = D extends { query: Schema<infer T> } ? { query?: T } : { query?: undefined };

/** What a request to a route carries. */
export type RouteRequest<D> = ParamsOf<D> &
  QueryOf<D> &
  RequestOptions & {
    /** Value of a JSON body. */
    json?: unknown;
    /** A body that is not JSON. */
    body?: RequestInit['body'] | undefined;
    headers?: Readonly<Record<string, string>> | undefined;
  };

/** An answer in JSON. */
export interface JsonAnswer<T> {
  value: T;
  /** The same as the broker wrote it. */
  text: string;
  status: number;
  headers: Headers;
}

/** An answer as it is. */
export interface RawAnswer {
  status: number;
  headers: Headers;
  bytes: Uint8Array<ArrayBuffer>;
}

interface HttpOptions {
  url: string;
  credentials?: Credentials | undefined;
  fetch?: Fetch | undefined;
  /** How often a request that may be repeated is sent again after a connection failed. */
  retries?: number | undefined;
}

/** First pause before a request is sent again, in ms; each later one is twice as long. */
const RETRY_MS = 200;

/** Sends requests to the routes of the API, and checks the answers by their schemas. */
export class Http {
  /** Base URL, without a slash at its end. */
  readonly url: string;
  readonly #authorization: string | undefined;
  readonly #fetch: Fetch;
  readonly #retries: number;

  /** @throws TypeError if `url` is not an HTTP URL */
  constructor({ url, credentials, fetch, retries = 2 }: HttpOptions) {
    this.url = baseUrl(url);
    this.#authorization = credentials && authorizationOf(credentials);
    // Browsers refuse a `fetch` that is called as the method of another object.
    this.#fetch = fetch ?? ((...request) => globalThis.fetch(...request));
    this.#retries = retries;
  }

  /**
   * Asks for JSON.
   * @throws ApiError, ConnectionError, UnexpectedAnswerError, the signal's reason
   */
  async json<D extends RouteDescription>(
    route: D,
    request: RouteRequest<D>,
  ): Promise<JsonAnswer<AnswerJson<D>>> {
    const { status, headers, bytes } = await this.#repeated(route, request);
    const text = new TextDecoder().decode(bytes);
    const value = jsonOf(text);
    if (isAnswerOf(route, status, value)) return { value, text, status, headers };
    throw errorOf(this.url, { status, headers }, text);
  }

  /** Asks for bytes, which may be none. @throws as `json` does */
  async bytes<D extends RouteDescription>(route: D, request: RouteRequest<D>): Promise<RawAnswer> {
    const answer = await this.#repeated(route, request);
    if (answer.status < 300) return answer;
    throw errorOf(this.url, answer, new TextDecoder().decode(answer.bytes));
  }

  /** The body of a good answer, piece by piece. @throws as `json` does */
  async stream<D extends RouteDescription>(
    route: D,
    request: RouteRequest<D>,
  ): Promise<AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined>> {
    const response = await this.#send(route, request);
    if (response.ok) return this.#pieces(response.body, request.signal);
    throw errorOf(this.url, response, await this.#guard(request.signal, () => response.text()));
  }

  async *#pieces(
    body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    if (body === null) return;
    const reader = body.getReader();
    try {
      for (;;) {
        const { done, value } = await this.#guard(signal, () => reader.read());
        if (done) return;
        yield value;
      }
    } finally {
      // A reader that stops early lets the connection go; a stream that failed has nothing to cancel.
      await reader.cancel().catch(() => undefined);
    }
  }

  /** Does a part of a request, which fails as the connection fails. */
  async #guard<T>(signal: AbortSignal | undefined, part: () => Promise<T>): Promise<T> {
    try {
      return await part();
    } catch (error) {
      signal?.throwIfAborted();
      throw new ConnectionError(this.url, error);
    }
  }

  /** Sends a request and reads its answer; if the connection fails, again, provided that the request may be repeated. */
  async #repeated<D extends RouteDescription>(route: D, request: RouteRequest<D>): Promise<RawAnswer> {
    const { headers: sent = {}, signal } = request;
    const retries = route.method === 'GET' || 'Idempotency-Key' in sent ? this.#retries : 0;
    for (let attempt = 0; ; attempt++) {
      try {
        const response = await this.#send(route, request);
        const bytes = new Uint8Array(await this.#guard(signal, () => response.arrayBuffer()));
        return { status: response.status, headers: response.headers, bytes };
      } catch (error) {
        if (!(error instanceof ConnectionError) || attempt >= retries) throw error;
        await pause(RETRY_MS * 2 ** attempt, signal);
      }
    }
  }

  async #send<D extends RouteDescription>(route: D, request: RouteRequest<D>): Promise<Response> {
    const { params, query, json, body, headers, signal } = request;
    signal?.throwIfAborted();
    const init: RequestInit = {
      method: route.method,
      headers: {
        ...(this.#authorization !== undefined && { Authorization: this.#authorization }),
        ...(json !== undefined && { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(json === undefined ? body !== undefined && { body } : { body: textOf(json) }),
      ...(signal !== undefined && { signal }),
    };
    const url = `${this.url}${pathOf(route.path, params)}${queryOf(query)}`;
    return await this.#guard(signal, () => this.#fetch(url, init));
  }
}

/** Whether `value` is what the route answers with this status. Fields that a newer broker adds do not matter. */
function isAnswerOf<D extends RouteDescription>(
  route: D,
  status: number,
  value: unknown,
): value is AnswerJson<D> {
  const schema = route.answers[status]?.json;
  return schema?.safeParse(value).success === true;
}

function pathOf(path: string, params: unknown): string {
  const values = new Map<string, unknown>(Object.entries(params ?? {}));
  return path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(String(values.get(name))));
}

function queryOf(query: unknown): string {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
  if (given.length === 0) return '';
  return `?${new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)])).toString()}`;
}

/**
 * A URL in its one normal form, without a slash at its end, a query, or credentials.
 * @throws TypeError if `text` is not an HTTP URL
 */
export function baseUrl(text: string): string {
  const url = new URL(text);
  if (!['http:', 'https:'].includes(url.protocol)) throw new TypeError(`${text} is not an HTTP URL`);
  url.search = url.hash = url.username = url.password = '';
  return url.href.replace(/\/$/, '');
}

/** Value of the `Authorization` header. */
function authorizationOf(credentials: Credentials): string {
  if ('token' in credentials) return `Bearer ${credentials.token}`;
  const bytes = new TextEncoder().encode(`${credentials.user}:${credentials.password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

/** Waits so many ms. @throws the signal's reason */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end);
  });
  signal?.throwIfAborted();
}

import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { Failure, messageOf, misuse } from './failure.js';
import { readEvents, type ServerEvent } from './server-events.js';

export interface ClientOptions {
  /** Where the cluster is, such as `http://127.0.0.1:3000`; a path is kept as a prefix. */
  url: string;
  /** Value of the `Authorization` header. */
  authorization?: string | undefined;
}

export interface RequestOptions {
  headers?: OutgoingHttpHeaders;
  body?: string | Uint8Array | AsyncIterable<Uint8Array>;
  signal?: AbortSignal | undefined;
}

/** An answer, read whole. */
export interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  bytes: Buffer;
}

const errorSchema = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** What to do about an error, by its code. */
const HINTS: Readonly<Record<string, string>> = {
  UNAUTHORIZED: 'log in with: panal login',
  FUNCTION_NOT_FOUND: 'see which there are with: panal functions',
  RUNTIME_NOT_FOUND: 'see which there are with: panal runtimes',
  VERSION_IN_USE: 'make another version the active one first, with: panal rollback NAME',
  VERSION_NOT_FOUND: 'see which there are with: panal function NAME',
  CALL_NOT_FOUND: 'see which there are with: panal calls',
  BUNDLE_TOO_LARGE: 'leave out what the function does not need, with a .panalignore file',
  NO_WORKER_FITS: 'lower the memoryMb of the function, or add a worker with more memory: panal workers',
  NO_CONTAINER_ENGINE: 'functions made of images need a worker with a container engine: panal workers',
};

/** The HTTP side of a cluster, over connections that are kept. It waits for an answer for as long as it takes. */
export class Client {
  readonly url: string;
  readonly #base: URL;
  readonly #authorization: string | undefined;
  readonly #agent: HttpAgent | HttpsAgent;

  /** @throws Failure for an address that is none. */
  constructor({ url, authorization }: ClientOptions) {
    this.url = clusterUrl(url);
    this.#base = new URL(this.url);
    this.#authorization = authorization;
    const Agent = this.#base.protocol === 'https:' ? HttpsAgent : HttpAgent;
    this.#agent = new Agent({ keepAlive: true });
  }

  /** Headers that every request of this client has. */
  get headers(): Record<string, string> {
    return this.#authorization === undefined ? {} : { Authorization: this.#authorization };
  }

  /** Asks for JSON. @throws Failure for every answer but a good one. */
  async ask<S extends z.ZodType>(
    schema: S,
    method: string,
    path: string,
    options?: RequestOptions,
  ): Promise<z.output<S>> {
    return (await this.askPage(schema, method, path, options)).value;
  }

  /** Asks for JSON, and gives its text too. It may go on elsewhere: `next` is the path of the next page (RFC 8288). */
  async askPage<S extends z.ZodType>(
    schema: S,
    method: string,
    path: string,
    options?: RequestOptions,
  ): Promise<{ value: z.output<S>; text: string; next: string | undefined }> {
    const { headers, bytes } = await this.request(method, path, options);
    const parsed = schema.safeParse(json(bytes));
    if (!parsed.success) throw notPanal(this.url, parsed.error);
    return { value: parsed.data, text: bytes.toString(), next: nextOf(headers.link) };
  }

  /** Sends JSON, and asks for JSON. */
  async send<S extends z.ZodType>(
    schema: S,
    method: string,
    path: string,
    value: unknown,
  ): Promise<z.output<S>> {
    return await this.ask(schema, method, path, jsonBody(JSON.stringify(value)));
  }

  /** @throws Failure for every answer but a good one. */
  async request(method: string, path: string, options?: RequestOptions): Promise<Answer> {
    const answer = await this.answer(method, path, options);
    if (answer.status >= 300) throw failureOf(this.url, answer);
    return answer;
  }

  /** Any answer, also one that says what is wrong. @throws Failure where there is none, or the signal's reason. */
  async answer(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const response = await this.#open(method, path, options);
    const bytes = await buffer(response).catch((error: unknown) => {
      throw this.#broken(error, options.signal);
    });
    return { status: response.statusCode ?? 0, headers: response.headers, bytes };
  }

  /** The bytes of an answer, as they come. @throws Failure for every answer but a good one. */
  async download(path: string, options: RequestOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    const response = await this.#open('GET', path, options);
    if (response.statusCode === 200) return this.#pieces(response, options.signal);
    const bytes = await buffer(response);
    throw failureOf(this.url, { status: response.statusCode ?? 0, headers: response.headers, bytes });
  }

  async *#pieces(
    response: IncomingMessage,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* response as AsyncIterable<Uint8Array>;
    } catch (error) {
      throw this.#broken(error, signal);
    } finally {
      response.destroy();
    }
  }

  /** Server-sent events, as they come. */
  async *events(path: string, signal?: AbortSignal): AsyncGenerator<ServerEvent, void, undefined> {
    const headers = { Accept: 'text/event-stream' };
    const response = await this.#open('GET', path, { headers, signal });
    try {
      if (response.statusCode !== 200) {
        const bytes = await buffer(response);
        throw failureOf(this.url, { status: response.statusCode ?? 0, headers: response.headers, bytes });
      }
      yield* readEvents(response);
    } catch (error) {
      throw this.#broken(error, signal);
    } finally {
      response.destroy();
    }
  }

  /** Lets go of the connections. */
  close(): void {
    this.#agent.destroy();
  }

  async #open(
    method: string,
    path: string,
    { headers, body, signal }: RequestOptions,
  ): Promise<IncomingMessage> {
    signal?.throwIfAborted();
    const send = this.#base.protocol === 'https:' ? httpsRequest : httpRequest;
    const options = { method, agent: this.#agent, headers: { ...this.headers, ...headers } };
    const request = send(`${this.url}${path}`, { ...options, ...(signal !== undefined && { signal }) });
    try {
      return await new Promise((resolve, reject) => {
        request.once('response', resolve);
        request.on('error', reject);
        if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) request.end(body);
        // A server that refuses an upload answers before it has all of it; then the answer counts, not the rest.
        else void pipeline(body, request).catch(reject);
      });
    } catch (error) {
      throw this.#broken(error, signal);
    }
  }

  #broken(error: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted === true) return signal.reason;
    if (error instanceof Failure) return error;
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const refused = code === 'ECONNREFUSED';
    const why = refused || typeof code !== 'string' ? '' : ` (${code})`;
    return new Failure(
      code === 'ECONNRESET' || code === undefined
        ? `${this.url} broke the connection: ${messageOf(error)}`
        : `cannot reach ${this.url}${why}`,
      { code: 'UNREACHABLE', hint: 'is the cluster running? start it with: panal up', cause: error },
    );
  }
}

/** A JSON body with its type. */
export const jsonBody = (body: string): RequestOptions => ({
  headers: { 'Content-Type': 'application/json' },
  body,
});

/** What an answer says that is wrong. */
export function failureOf(url: string, answer: Answer): Failure {
  const parsed = errorSchema.safeParse(json(answer.bytes));
  if (!parsed.success) return notPanal(url, undefined, answer.status);
  const { code, message } = parsed.data.error;
  const after = answer.headers['retry-after'];
  const hint = after === undefined ? HINTS[code] : `try again in ${after} s`;
  return new Failure(message, { code, hint });
}

function notPanal(url: string, cause?: unknown, status?: number): Failure {
  const what = status === undefined ? 'answered' : `answered ${status},`;
  return new Failure(`${url} ${what} what is not Panal's`, {
    hint: 'is the address right? see --url',
    cause,
  });
}

/** An address as it is written in one way only, without a slash at its end. @throws Failure for what is none. */
export function clusterUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw misuse(
      `${JSON.stringify(text)} is no address of a cluster`,
      'give one such as http://127.0.0.1:3000',
    );
  }
  url.search = '';
  url.hash = '';
  url.username = '';
  url.password = '';
  return url.href.replace(/\/$/, '');
}

function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

/** The path that a `Link` header names as the next page. */
function nextOf(link: string | string[] | undefined): string | undefined {
  return /<([^>]+)>\s*;\s*rel="?next"?/.exec(String(link ?? ''))?.[1];
}

import {
  createServer,
  request,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import { pipeline, type Duplex } from 'node:stream';
import {
  authorization,
  checkTarget,
  connectThrough,
  connectTo,
  connectToUpstream,
  type Upstream,
} from './connect.js';
import { Refused, type EgressPolicy, type Target } from './policy.js';

/** Connections of one proxy at once. */
const MOST_CONNECTIONS = 256;
/** Headers that are between a client and its proxy, and no further (RFC 9110, 7.6.1). */
const HOP_BY_HOP = new Set(
  'connection keep-alive proxy-authorization proxy-connection te trailer upgrade'.split(' '),
);

/** The proxy has no room; it may have later. */
class Busy extends Error {}

/**
 * An HTTP proxy (`CONNECT`, and requests for `http://…`) by which code in a sandbox without a network reaches what a
 * policy lets it. It connects from the worker, which serves it the connections that come out of the sandbox.
 */
export class EgressProxy {
  readonly #policy: EgressPolicy;
  readonly #upstream: Upstream | undefined;
  readonly #server: Server;
  readonly #streams = new Set<Duplex>();
  /** Connections that are being made. */
  #reaching = 0;

  /** @param upstream proxy through which every connection goes; undefined: directly */
  constructor(policy: EgressPolicy, upstream?: Upstream) {
    this.#policy = policy;
    this.#upstream = upstream;
    this.#server = createServer((incoming, answer) => void this.#forward(incoming, answer));
    this.#server.on('connect', (incoming, client, head) => void this.#tunnel(incoming, client, head));
    this.#server.on('clientError', (_, client) => client.destroy());
  }

  /** Serves one connection of a client, whatever it comes over. */
  serve(stream: Duplex): void {
    if (this.#streams.size >= MOST_CONNECTIONS) stream.destroy();
    else this.#server.emit('connection', this.#hold(stream));
  }

  /** Listens on a unix socket at `path`, for clients of any user; the folder is what guards it. */
  async listen(path: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.on('connection', (stream) => this.#hold(stream));
      this.#server.maxConnections = MOST_CONNECTIONS;
      this.#server.listen({ path, readableAll: true, writableAll: true }, resolve);
    });
  }

  /** Ends every connection. */
  close(): void {
    this.#server.close();
    for (const stream of this.#streams) stream.destroy();
  }

  #hold<S extends Duplex>(stream: S): S {
    stream.on('error', () => undefined);
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    return stream;
  }

  async #tunnel(incoming: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    client.on('error', () => undefined);
    try {
      const target = targetOf(`http://${incoming.url ?? ''}`, 443);
      const socket = this.#hold(await this.#limited(() => this.#connect(target)));
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      if (head.length > 0) socket.write(head);
      pipeline(client, socket, client, () => undefined);
    } catch (error) {
      const { status, why } = answerTo(error);
      // Clients show the reason phrase, if anything.
      client.end(
        `HTTP/1.1 ${status} ${why}\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n${why}\n`,
      );
    }
  }

  async #forward(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    try {
      // It would show the client what a proxy that the operator names is told.
      if (incoming.method === 'TRACE') throw new Refused('TRACE is not served');
      const url = incoming.url ?? '';
      const target = targetOf(url, 80);
      const [socket, path] = await this.#limited(() => this.#way(target, url));
      if (answer.destroyed) {
        socket.destroy();
        return;
      }
      const headers = {
        ...passedOn(incoming.headers),
        // The client may name another (RFC 9112, 3.2.2).
        host: new URL(url).host,
        ...(this.#upstream && authorization(this.#upstream)),
      };
      const asked = request({
        method: incoming.method ?? 'GET',
        path,
        headers,
        createConnection: () => this.#hold(socket),
      });
      answer.once('close', () => asked.destroy());
      asked.on('response', (response) => {
        try {
          answer.writeHead(response.statusCode ?? 502, passedOn(response.headers));
        } catch (error) {
          // What the server sent is no answer of HTTP.
          response.destroy();
          refuse(answer, error);
          return;
        }
        pipeline(response, answer, () => undefined);
      });
      asked.on('error', (error) => refuse(answer, error));
      pipeline(incoming, asked, () => undefined);
    } catch (error) {
      refuse(answer, error);
    }
  }

  /** @throws Busy if the clients have too many connections out */
  async #limited<T>(reach: () => Promise<T>): Promise<T> {
    if (this.#streams.size + this.#reaching >= 2 * MOST_CONNECTIONS) {
      throw new Busy('too many connections at once');
    }
    this.#reaching += 1;
    try {
      return await reach();
    } finally {
      this.#reaching -= 1;
    }
  }

  async #connect(target: Target): Promise<Socket> {
    if (this.#upstream === undefined) return await connectTo(target, this.#policy);
    return await connectThrough(target, this.#upstream, this.#policy);
  }

  /** A connection for a plain request, and what is asked for on it. */
  async #way(target: Target, url: string): Promise<[Socket, string]> {
    if (this.#upstream !== undefined) {
      await checkTarget(target, this.#policy);
      return [await connectToUpstream(this.#upstream, this.#policy), url];
    }
    const { pathname, search } = new URL(url);
    return [await connectTo(target, this.#policy), pathname + search];
  }
}

/** The headers that are for more than the next hop. */
function passedOn(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));
}

function targetOf(url: string, port: number): Target {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol !== 'http:' || parsed.hostname === '') {
    throw new Refused('only CONNECT, and requests for http://, are served');
  }
  // A URL leaves out the port that its scheme has anyway.
  const given = /^[^/?#]*:(\d+)(?:$|[/?#])/.exec(url.slice('http://'.length))?.[1];
  return { host: parsed.hostname.replace(/^\[|\]$/g, ''), port: Number(given ?? port) };
}

function refuse(answer: ServerResponse, error: unknown): void {
  if (answer.headersSent || answer.destroyed) {
    answer.destroy();
    return;
  }
  const { status, why } = answerTo(error);
  answer.writeHead(status, why, { 'content-type': 'text/plain', connection: 'close' }).end(`${why}\n`);
}

function answerTo(error: unknown): { status: number; why: string } {
  const message = error instanceof Error ? error.message : String(error);
  const status = error instanceof Busy ? 503 : error instanceof Refused ? 403 : 502;
  return { status, why: message.replaceAll(/[^\x20-\x7e]/g, '?') };
}

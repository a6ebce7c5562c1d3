import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { HalfClosed } from './half-closed.js';
import { HTTP_LIMITS, mostConnections, type HttpLimits } from './http-limits.js';
import { inTurns, type Serve } from './turns.js';
import { ByteBudget } from '../memory/byte-budget.js';
import { UnreadAnswers } from '../memory/unread-answers.js';

/** Between looks for connections that became idle while the server closes. */
const SWEEP_MS = 25;

/** A server that listens. */
export interface Listener {
  port: number;
  /** Takes no new connections; resolves when the requests under way are answered, cut off after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/**
 * Serves HTTP at `host` and `port`; port 0 takes a free one.
 * @throws Error when the address cannot be listened at.
 */
export async function listen(
  app: { callback(): Serve },
  host: string,
  port: number,
  limits: HttpLimits = HTTP_LIMITS,
  unread = new UnreadAnswers(limits.answerMs, new ByteBudget(Infinity)),
): Promise<Listener> {
  const answer = app.callback();
  const serve = inTurns((request, response) => {
    halfClosed.awaits(request.socket, response);
    response.once('prefinish', () => unread.add(response));
    // RFC 9112, 3.2. Node.js would refuse it without a word of why.
    if (request.headers.host === undefined && request.httpVersion === '1.1') refuseHostless(response);
    else answer(request, response);
  });
  const server = createServer(
    {
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: limits.checkMs,
      requireHostHeader: false,
    },
    serve,
  );
  const halfClosed = new HalfClosed(server, limits.halfClosedMs);
  // Past a number of them Node.js would drop headers unseen, such as the second Authorization. Their size bounds them.
  server.maxHeadersCount = 0;
  const connections = await mostConnections();
  if (connections !== undefined) server.maxConnections = connections;
  // Who expects what no server knows is answered as if he did not (RFC 9110, 10.1.1).
  server.on('checkExpectation', serve);
  server.on('clientError', refuseMalformed);
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('an HTTP server has a port');
  return { port: address.port, close: (graceMs) => close(server, graceMs) };
}

/** Answers what is not HTTP, or comes too slowly or too long, in the one shape that errors have. */
function refuseMalformed(error: Error, socket: Duplex): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = malformed(error.message);
  const head = ['HTTP/1.1 400 Bad Request', `Content-Type: ${JSON_TYPE}`, 'Connection: close'];
  socket.end(`${head.join('\r\n')}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

function refuseHostless(response: ServerResponse): void {
  response.writeHead(400, { 'Content-Type': JSON_TYPE, Connection: 'close' });
  response.end(malformed('there is no Host header'));
}

const JSON_TYPE = 'application/json; charset=utf-8';

const malformed = (why: string): string =>
  JSON.stringify({
    error: { code: 'INVALID_REQUEST', message: `the request is not well-formed HTTP: ${why}` },
  });

async function close(server: Server, graceMs: number): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  // A connection that is kept alive counts as open: it is closed once its request is answered.
  const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
  const end = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(end);
}

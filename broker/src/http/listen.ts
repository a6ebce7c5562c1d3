import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { Duplex } from 'node:stream';

/** For how long a client may send its headers. */
const HEADERS_TIMEOUT_MS = 20_000;
/** For how long a client may send its whole request: 64 MiB over a slow line. */
const REQUEST_TIMEOUT_MS = 600_000;
/** For how long an unused connection stays: longer than the 60 s after which proxies close theirs. */
const KEEP_ALIVE_MS = 65_000;
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
  app: { callback(): Parameters<typeof createServer>[1] },
  host: string,
  port: number,
): Promise<Listener> {
  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    app.callback(),
  );
  // Past a number of them Node.js would drop headers unseen, such as the second Authorization. Their size bounds them.
  server.maxHeadersCount = 0;
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
  const body = JSON.stringify({
    error: { code: 'INVALID_REQUEST', message: `the request is not well-formed HTTP: ${error.message}` },
  });
  const head = [
    'HTTP/1.1 400 Bad Request',
    'Content-Type: application/json; charset=utf-8',
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

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

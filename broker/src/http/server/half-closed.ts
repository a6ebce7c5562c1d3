import type { Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/**
 * Answers clients that close their sending side once their request is sent, and wait (TCP's half-close).
 *
 * A client that goes away sends the same FIN. The two differ only if something is sent to them: the machine of a client
 * that is gone resets the connection, and the next write fails. So after `probeMs`, and from then on again, the client
 * is sent `100 Continue`, which every client of HTTP/1.1 ignores (RFC 9110, 15.2). HTTP/1.0 has no such answer: there
 * the FIN counts as going away.
 */
export class HalfClosed {
  readonly #probeMs: number;
  /** The answer that each connection waits for. */
  readonly #awaited = new WeakMap<Duplex, ServerResponse>();

  constructor(server: Server, probeMs: number) {
    this.#probeMs = probeMs;
    // Not among the types of Node.js, which otherwise destroys the connection at its FIN.
    Object.assign(server, { httpAllowHalfOpen: true });
    server.on('connection', (socket) => {
      socket.once('end', () => this.#probe(socket));
    });
  }

  /** To be told of each answer when its turn comes. */
  awaits(socket: Duplex, response: ServerResponse): void {
    this.#awaited.set(socket, response);
  }

  #probe(socket: Duplex): void {
    if (this.#awaited.get(socket)?.req.httpVersion === '1.0') {
      socket.destroy();
      return;
    }
    const write = (): void => {
      const response = this.#awaited.get(socket);
      // An answer that has begun finds out by itself.
      if (response?.headersSent === false && !response.closed) response.writeContinue();
    };
    let second: NodeJS.Timeout | undefined;
    const first = setInterval(() => {
      write();
      second = setTimeout(write, this.#probeMs / 8);
    }, this.#probeMs);
    socket.once('close', () => {
      clearInterval(first);
      clearTimeout(second);
    });
  }
}

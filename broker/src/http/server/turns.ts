import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Requests of one connection that may wait for those before them. A client that sends more ahead is cut off. */
const MOST_WAITING = 64;

/** The same of all connections: each request has headers of up to 16 KiB. */
const MOST_WAITING_IN_ALL = 1024;

export type Serve = (request: IncomingMessage, response: ServerResponse) => unknown;

interface Turn {
  last: ServerResponse;
  waiting: number;
}

/**
 * Serves the requests of a connection one after the other, each when the answer before it is written. Node.js serves
 * at once what a client sends ahead (pipelining, RFC 9112, 9.3.2), and keeps the answers until their turn: a packet
 * with a thousand small requests would make it hold a thousand large answers.
 */
export function inTurns(serve: Serve): Serve {
  const turns = new WeakMap<Duplex, Turn>();
  let waiting = 0;
  return (request, response) => {
    const { socket } = request;
    if (socket.destroyed) return;
    const turn = turns.get(socket);
    if (turn === undefined) {
      turns.set(socket, { last: response, waiting: 0 });
      serve(request, response);
      return;
    }
    const before = turn.last;
    turn.last = response;
    if (before.closed) serve(request, response);
    else if (turn.waiting === MOST_WAITING || waiting === MOST_WAITING_IN_ALL) socket.destroy();
    else {
      turn.waiting++;
      waiting++;
      before.once('close', () => {
        turn.waiting--;
        waiting--;
        if (!socket.destroyed) serve(request, response);
      });
    }
  };
}

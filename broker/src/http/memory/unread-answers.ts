import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ByteBudget, type Holding } from './byte-budget.js';

/**
 * Answers that are written and not yet taken by their clients, all of them in memory. A client that takes nothing of its
 * answer for a while is cut off; and while there is too much, those are that have had theirs for longest.
 */
export class UnreadAnswers {
  readonly #patienceMs: number;
  readonly #budget: ByteBudget;
  readonly #owners = new WeakMap<ServerResponse, string>();
  readonly #holdings = new Map<Socket, Holding>();

  /** @param patienceMs milliseconds in which a client must take something of its answer */
  constructor(patienceMs: number, budget: ByteBudget) {
    this.#patienceMs = patienceMs;
    this.#budget = budget;
  }

  /** Says whose answer it will be; one of nobody's otherwise. */
  own(response: ServerResponse, owner: string): void {
    this.#owners.set(response, owner);
  }

  /** To be told of an answer once its last byte is with the socket. */
  add(response: ServerResponse): void {
    const { socket } = response;
    if (socket === null || socket.writableLength === 0) return;
    socket.setTimeout(this.#patienceMs);
    this.#forget(socket);
    const holding = this.#budget.open(this.#owners.get(response) ?? '', () => {
      this.#forget(socket);
      socket.destroy();
    });
    this.#holdings.set(socket, holding);
    response.once('close', () => this.#forget(socket));
    holding.add(socket.writableLength);
  }

  #forget(socket: Socket): void {
    this.#holdings.get(socket)?.close();
    this.#holdings.delete(socket);
  }
}

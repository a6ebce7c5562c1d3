import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Bytes of answers that may lie there for clients to take them. */
const MOST_BYTES = 256 * 1024 * 1024;

/**
 * Answers that are written and not yet taken by their clients, all of them in memory. A client that takes nothing of its
 * answer for a while is cut off; and while there is too much in all, those are that have had theirs for longest.
 */
export class UnreadAnswers {
  readonly #patienceMs: number;
  readonly #mostBytes: number;
  /** In the order in which they came. */
  readonly #sizes = new Map<Socket, number>();
  #bytes = 0;

  constructor(patienceMs: number, mostBytes = MOST_BYTES) {
    this.#patienceMs = patienceMs;
    this.#mostBytes = mostBytes;
  }

  /** To be told of an answer once its last byte is with the socket. */
  add(response: ServerResponse): void {
    const { socket } = response;
    if (socket === null || socket.writableLength === 0) return;
    socket.setTimeout(this.#patienceMs);
    this.#forget(socket);
    this.#sizes.set(socket, socket.writableLength);
    this.#bytes += socket.writableLength;
    response.once('close', () => this.#forget(socket));
    for (const longest of this.#sizes.keys()) {
      if (this.#bytes <= this.#mostBytes) return;
      this.#forget(longest);
      longest.destroy();
    }
  }

  #forget(socket: Socket): void {
    this.#bytes -= this.#sizes.get(socket) ?? 0;
    this.#sizes.delete(socket);
  }
}

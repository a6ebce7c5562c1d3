import type { IncomingMessage } from 'node:http';
import { PanalError } from '@panal/protocol';
import { ByteBudget, type Holding } from './byte-budget.js';

/** Memory of a piece of a body besides its bytes: a body that comes byte by byte takes far more than its size. */
const PIECE_BYTES = 512;

/** Seconds after which a refused client may try again. */
const RETRY_AFTER = 1;

/**
 * The memory of request bodies, from their first byte until the request needs its body no longer. A body that the
 * budget drops ends with the `error` of its request, a PanalError QUEUE_FULL.
 */
export class BodyMemory {
  readonly #budget: ByteBudget;
  readonly #bodies = new Map<IncomingMessage, { holding: Holding; stop: () => void }>();

  /**
   * @param most bytes in all; unlimited by default
   * @param ownerMost bytes of one owner, now; half of all by default
   */
  constructor(most = Infinity, ownerMost?: () => number) {
    this.#budget = new ByteBudget(most, ownerMost);
  }

  /** Bytes of all bodies. */
  get bytes(): number {
    return this.#budget.bytes;
  }

  /**
   * Counts the body of a request. Call it in the same turn in which something begins to read the body.
   * @param pieceBytes memory of each piece besides its bytes
   */
  count(request: IncomingMessage, owner: string, pieceBytes = PIECE_BYTES): void {
    const holding = this.#budget.open(owner, () => {
      this.release(request);
      refuse(request);
    });
    const add = (piece: Buffer): void => holding.add(piece.byteLength + pieceBytes);
    const end = (): void => holding.keep();
    const stop = (): void => void request.off('data', add).off('end', end);
    this.#bodies.set(request, { holding, stop });
    request.on('data', add).once('end', end);
  }

  /** So many bytes of the body are no longer in memory. */
  passedOn(request: IncomingMessage, bytes: number): void {
    this.#bodies.get(request)?.holding.add(-bytes);
  }

  /** The request needs its body no longer. */
  release(request: IncomingMessage): void {
    const body = this.#bodies.get(request);
    if (body === undefined) return;
    this.#bodies.delete(request);
    body.stop();
    body.holding.close();
  }
}

function refuse(request: IncomingMessage): void {
  const why = 'request bodies of too many bytes come in at once (FAAS_BODIES_MB)';
  request.emit('error', new PanalError('QUEUE_FULL', why, { retryAfter: RETRY_AFTER }));
  // The rest flows away unread: a client that still sends would not see an answer on a closed connection.
  request.removeAllListeners('data').resume();
}

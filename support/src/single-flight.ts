import { unlessAborted } from './waiting.js';

interface Flight<T> {
  result: Promise<T>;
  abort: AbortController;
  waiting: number;
}

/**
 * Does a piece of work once, however many ask for it at the same moment. It goes on while anyone still wants it, and is
 * aborted when the last one has given up. Work of the same key that was aborted has to end before it is begun anew.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>();

  /** @throws what `work` throws; the reason of `signal` */
  async run(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    let flight = this.#flights.get(key);
    while (flight?.abort.signal.aborted) {
      await unlessAborted(
        flight.result.catch(() => undefined),
        signal,
      );
      flight = this.#flights.get(key);
    }
    flight ??= this.#depart(key, work);
    flight.waiting += 1;
    try {
      return await unlessAborted(flight.result, signal);
    } finally {
      flight.waiting -= 1;
      if (flight.waiting === 0 && this.#flights.get(key) === flight) flight.abort.abort(signal.reason);
    }
  }

  #depart(key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const abort = new AbortController();
    const result = work(abort.signal).finally(() => this.#flights.delete(key));
    // Those who wait hear of its failure, if any still do.
    result.catch(() => undefined);
    const flight: Flight<T> = { abort, waiting: 0, result };
    this.#flights.set(key, flight);
    return flight;
  }
}

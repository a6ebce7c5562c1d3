import type { Serve } from './turns.js';

/** Stands at an HTTP port before there is an app: requests that come early wait for it. */
export class Reception {
  readonly #waiting: Parameters<Serve>[] = [];
  #serve: Serve = (...request) => void this.#waiting.push(request);

  callback(): Serve {
    return (...request) => this.#serve(...request);
  }

  /** Hands what waits, and all that comes, to the app. */
  open(app: { callback(): Serve }): void {
    this.#serve = app.callback();
    for (const request of this.#waiting.splice(0)) this.#serve(...request);
  }
}

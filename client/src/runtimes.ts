import { routes, type RuntimeRegistration, type RuntimeView } from '@panal/api';
import type { Http, RequestOptions } from './http.js';
import { entriesOf } from './pages.js';

/** Runtimes: an image, and what is done in it with uploaded code. */
export class Runtimes {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Registers a runtime, or replaces the one of that name. @throws ApiError QUOTA_EXCEEDED */
  async register(runtime: RuntimeRegistration, { signal }: RequestOptions = {}): Promise<RuntimeView> {
    return (await this.#http.json(routes.registerRuntime, { json: runtime, signal })).value;
  }

  /** Names of the runtimes that functions can use, sorted: the bundled ones and your own. */
  names({ signal }: RequestOptions = {}): AsyncGenerator<string, void, undefined> {
    return entriesOf(async (query) => {
      const { value, headers } = await this.#http.json(routes.listRuntimes, { query: { ...query }, signal });
      return { entries: value, headers };
    });
  }

  /** @throws ApiError RUNTIME_NOT_FOUND */
  async get(name: string, { signal }: RequestOptions = {}): Promise<RuntimeView> {
    return (await this.#http.json(routes.getRuntime, { params: { name }, signal })).value;
  }

  /** @throws ApiError RUNTIME_NOT_FOUND, RUNTIME_IN_USE, FORBIDDEN for a bundled one */
  async delete(name: string, { signal }: RequestOptions = {}): Promise<void> {
    await this.#http.bytes(routes.deleteRuntime, { params: { name }, signal });
  }
}

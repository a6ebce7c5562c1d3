import {
  routes,
  type AcceptedCall,
  type FunctionSettings,
  type FunctionView,
  type VersionView,
} from '@panal/api';
import { acceptedOf, accepting, type CallAnswer, type StartOptions } from './accepting.js';
import type { Http, RequestOptions } from './http.js';
import { entriesOf } from './pages.js';

/** A function that is an image. */
export interface ImageFunction extends FunctionSettings {
  functionName: string;
  image: string;
}

/** Code to upload, a .zip or .tar.gz with the code at its root, and as what. */
export interface Upload {
  name: string;
  /** Name of a runtime, such as `pythonruntime`. */
  runtime: string;
  /** The archive. In Node.js, `fs.openAsBlob(path)` makes one that is read while it is sent. */
  module: Blob;
  settings?: FunctionSettings | undefined;
}

/** Settings or an image, which make the next version; or the number of a version to make the active one. */
export type FunctionChange = (FunctionSettings & { image?: string }) | { activeVersion: number };

/** Functions and their versions. */
export class Functions {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Registers an image as a function, or as its next version. @throws ApiError NO_CONTAINER_ENGINE, QUOTA_EXCEEDED */
  async registerImage(definition: ImageFunction, { signal }: RequestOptions = {}): Promise<FunctionView> {
    return (await this.#http.json(routes.registerImage, { json: definition, signal })).value;
  }

  /**
   * Uploads code as a function, or as its next version.
   * @throws ApiError RUNTIME_NOT_FOUND, BUNDLE_TOO_LARGE, NOT_AN_ARCHIVE, UNSAFE_ARCHIVE, QUOTA_EXCEEDED
   */
  async upload(
    { name, runtime, module, settings = {} }: Upload,
    { signal }: RequestOptions = {},
  ): Promise<FunctionView> {
    const form = new FormData();
    for (const [field, value] of Object.entries(settings)) {
      if (value !== undefined) form.append(field, typeof value === 'string' ? value : JSON.stringify(value));
    }
    // A file has its own name, and may be read by its own `stream`.
    if (module instanceof File) form.append('module', module);
    else form.append('module', module, 'module');
    const params = { runtime, funcName: name };
    return (await this.#http.json(routes.registerBundle, { params, body: form, signal })).value;
  }

  /** Names of your functions, sorted. */
  names({ signal }: RequestOptions = {}): AsyncGenerator<string, void, undefined> {
    return entriesOf(async (query) => {
      const { value, headers } = await this.#http.json(routes.listFunctions, { query: { ...query }, signal });
      return { entries: value, headers };
    });
  }

  /** A function, with the settings of its active version. @throws ApiError FUNCTION_NOT_FOUND */
  async get(name: string, { signal }: RequestOptions = {}): Promise<FunctionView> {
    return (await this.#http.json(routes.getFunction, { params: { name }, signal })).value;
  }

  /** Changes a function, or rolls it back. @throws ApiError FUNCTION_NOT_FOUND, VERSION_NOT_FOUND, QUOTA_EXCEEDED */
  async change(name: string, change: FunctionChange, { signal }: RequestOptions = {}): Promise<FunctionView> {
    return (await this.#http.json(routes.changeFunction, { params: { name }, json: change, signal })).value;
  }

  /** Deletes a function with all its versions; its calls stay. @throws ApiError FUNCTION_NOT_FOUND */
  async delete(name: string, { signal }: RequestOptions = {}): Promise<void> {
    await this.#http.bytes(routes.deleteFunction, { params: { name }, signal });
  }

  /** The versions of a function, oldest first. @throws ApiError FUNCTION_NOT_FOUND */
  versions(name: string, { signal }: RequestOptions = {}): AsyncGenerator<VersionView, void, undefined> {
    return entriesOf(async ({ limit, after }) => {
      const query = {
        ...(limit !== undefined && { limit: Number(limit) }),
        ...(after !== undefined && { after: Number(after) }),
      };
      const request = { params: { name }, query, signal };
      const { value, headers } = await this.#http.json(routes.listVersions, request);
      return { entries: value, headers };
    });
  }

  /** Deletes a version. @throws ApiError VERSION_NOT_FOUND, VERSION_IN_USE for the active one */
  async deleteVersion(name: string, version: number, { signal }: RequestOptions = {}): Promise<void> {
    await this.#http.bytes(routes.deleteVersion, { params: { name, version }, signal });
  }

  /**
   * Prepares the active version on a worker, by a call that does not run the function.
   * @returns the call: as it ended, if it did within `wait`
   */
  async prepare(name: string, options: StartOptions = {}): Promise<CallAnswer | AcceptedCall> {
    const params = { name };
    return acceptedOf(await this.#http.json(routes.prepareFunction, { params, ...accepting(options) }));
  }
}

import type { FunctionSpec } from '@panal/protocol';
import { Gate } from '../engine/gate.js';
import { LABEL } from '../engine/labels.js';
import { FunctionError, PlatformError } from '../sandbox/sandbox.js';
import { baseMissing, buildBundled, findBundled } from './bundled.js';
import { FunctionCode } from './function-code.js';
import { functionImageName, makeFunctionImage, type FunctionImageTools } from './function-image.js';
import { inspectImage, type Image } from './image.js';
import { Places } from './places.js';
import { pull } from './pull.js';
import { SingleFlight } from './single-flight.js';

/** Pulls and builds at once: more would share the same line to the registry, and the same disk. */
const AT_ONCE = 2;

/** All that a reference may consist of, so that it means nothing else in a request to the engine. */
const REFERENCE = /^[A-Za-z0-9]+([._:/@-]+[A-Za-z0-9]+)*$/;

export interface ImagesOptions extends FunctionImageTools {
  /** Folder of the bundled runtimes. */
  runtimesDir: string;
  /** Folder for the code of functions that need no image of their own; `undefined`: all get one. */
  codeDir: string | undefined;
}

/** What the containers of a function start from. */
export interface Origin {
  readonly image: Image;
  /** The code that belongs at the runtime's path; `undefined` where the image has it. */
  readonly code: string | undefined;
}

/** Makes the images that sandboxes start from, each once: pulled, built from a bundled runtime, or a function's own. */
export class Images {
  readonly #options: ImagesOptions;
  readonly #code: FunctionCode | undefined;
  readonly #flights = new SingleFlight<Image>();
  readonly #functions = new SingleFlight<Origin>();
  readonly #gate = new Gate(AT_ONCE);

  constructor(options: ImagesOptions) {
    this.#options = options;
    const { codeDir, docker, workerId } = options;
    this.#code =
      codeDir === undefined ? undefined : new FunctionCode(codeDir, options, new Places(docker, workerId));
  }

  /**
   * The image of a function, or that of its runtime and its code.
   * @throws FunctionError `IMAGE_NOT_FOUND`, `DEPENDENCIES_FAILED`; PlatformError `IMAGE_PULL_FAILED` and others
   */
  async of(spec: FunctionSpec, signal: AbortSignal): Promise<Origin> {
    if (spec.kind === 'image') return { image: await this.#get(spec.image, signal), code: undefined };
    const runtime = await this.#get(spec.runtime.image, signal);
    const name = functionImageName(runtime, spec);
    return await this.#functions.run(name, signal, async (shared) => {
      const key = name.slice(name.indexOf(':') + 1);
      const code = await this.#code?.of(key, runtime, spec, shared);
      if (code !== undefined) return { image: runtime, code };
      const kept = await inspectImage(this.#options.docker, name);
      if (kept !== undefined) return { image: kept, code: undefined };
      await this.#gate.run(() => makeFunctionImage(this.#options, runtime, spec, name, shared));
      return { image: await this.#made(name), code: undefined };
    });
  }

  async #get(reference: string, signal: AbortSignal): Promise<Image> {
    if (!REFERENCE.test(reference) || reference.includes('..')) {
      throw new FunctionError('IMAGE_NOT_FOUND', `${JSON.stringify(reference)} is no reference of an image`);
    }
    return await this.#flights.run(reference, signal, async (shared) => {
      const limited = AbortSignal.any([shared, AbortSignal.timeout(this.#options.timeoutMs)]);
      const bundled = await findBundled(this.#options.runtimesDir, reference);
      const kept = await inspectImage(this.#options.docker, reference);
      // One without the label is an operator's own, made with another base: it stays.
      const context = kept?.labels[LABEL.context];
      if (kept !== undefined && (context === undefined || context === bundled?.context)) return kept;
      if (bundled === undefined) return await this.#pulled(reference, limited);
      await this.#pulled(bundled.base, limited).catch((error: unknown) => {
        throw error instanceof FunctionError ? baseMissing(bundled, error) : error;
      });
      await this.#gate.run(() => buildBundled(this.#options.docker, bundled, limited));
      return await this.#made(reference);
    });
  }

  async #pulled(reference: string, signal: AbortSignal): Promise<Image> {
    const kept = await inspectImage(this.#options.docker, reference);
    if (kept !== undefined) return kept;
    await this.#gate.run(() => pull(this.#options.docker, reference, signal));
    return await this.#made(reference);
  }

  async #made(reference: string): Promise<Image> {
    const image = await inspectImage(this.#options.docker, reference);
    if (image !== undefined) return image;
    throw new PlatformError('SANDBOX_FAILED', `the engine no longer has ${reference}, which was just made`);
  }
}

import { copyFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  BadImageReference,
  baseImageOf,
  parseImageReference,
  type FunctionSpec,
  type ImageReference,
  type RuntimeFunctionSpec,
} from '@panal/protocol';
import { SingleFlight } from '@panal/support';
import pLimit from 'p-limit';
import { dependencyFiles, type DependencyFiles } from '../bundles/dependency-files.js';
import { LABEL } from '../engine/labels.js';
import type { Cache } from '../cache/cache-keeper.js';
import { FolderCache } from '../cache/folder-cache.js';
import { FunctionError, PlatformError } from '../errors.js';
import { announce, type OnOutput } from '../output/on-output.js';
import { baseMissing, buildBundled, findBundled, type BundledRuntime } from './bundled.js';
import type { Credentials } from './credentials.js';
import { FunctionCode } from './function-code.js';
import { functionImageTag, makeImage, withBundle, type FunctionImageTools } from './function-image.js';
import { digestOf, inspectImage, inspectImageId, tagImage, type Image } from './image.js';
import { KeptImages } from './kept-images.js';
import { Places } from './places.js';
import { digestInRegistry, pull } from './pull.js';
import type { SharedImages } from './shared-images.js';

/** Pulls and builds at once: more would share the same line to the registry, and the same disk. */
const AT_ONCE = 2;

/** How long a registry may take to say what a name stands for, if there is an image of that name here, in ms. */
const REGISTRY_ANSWER_MS = 5000;

export interface ImagesOptions extends FunctionImageTools {
  /** Longest pull or build of an image, in ms. */
  timeoutMs: number;
  /** Folder of the bundled runtimes. */
  runtimesDir: string;
  /** Folder for the code of functions that need no image of their own; `undefined`: all get one. */
  codeDir: string | undefined;
  /** What the engine's machine calls its architecture. */
  architecture: string;
  credentials: Credentials;
  shared: SharedImages;
}

/** What the containers of a function start from. */
export interface Origin {
  readonly image: Image;
  /** The code that belongs at the runtime's path; `undefined` where the image has it. */
  readonly code: string | undefined;
  /** What names the image for good, or that of the runtime; `undefined` for a bundled runtime. */
  readonly imageDigest?: string | undefined;
}

/** What a function's image is made from. */
interface Source {
  runtime: Image;
  spec: RuntimeFunctionSpec;
  onOutput: OnOutput | undefined;
}

/** Makes the images that sandboxes start from, each once: pulled, built from a bundled runtime, or a function's own. */
export class Images {
  readonly #options: ImagesOptions;
  readonly #code: FunctionCode | undefined;
  readonly #flights = new SingleFlight<Image>();
  readonly #functions = new SingleFlight<Origin>();
  readonly #installations = new SingleFlight<Image>();
  readonly #limit = pLimit(AT_ONCE);
  readonly #kept: KeptImages;

  constructor(options: ImagesOptions) {
    this.#options = options;
    const { codeDir, docker, workerId } = options;
    this.#kept = new KeptImages(docker);
    this.#code =
      codeDir === undefined ? undefined : new FunctionCode(codeDir, options, new Places(docker, workerId));
  }

  /**
   * The image of a function, or that of its runtime and its code.
   * @throws FunctionError `IMAGE_NOT_FOUND`, `DEPENDENCIES_FAILED`; PlatformError `IMAGE_PULL_FAILED` and others
   */
  async of(spec: FunctionSpec, signal: AbortSignal, onOutput?: OnOutput): Promise<Origin> {
    const { image: runtime, imageDigest } = await this.#named(spec, signal, onOutput);
    if (spec.kind === 'image') return { image: runtime, code: undefined, imageDigest };
    const tag = functionImageTag(runtime, spec);
    const origin = await this.#functions.run(tag, signal, async (shared) => {
      const code = await this.#code?.of(tag, runtime, spec, shared);
      if (code !== undefined) return { image: runtime, code };
      const image = await this.#options.shared.obtain('function', tag, shared, (name) =>
        this.#make({ runtime, spec, onOutput }, name, shared),
      );
      this.#kept.used(image);
      return { image, code: undefined };
    });
    return { ...origin, imageDigest };
  }

  /** What is kept here for sandboxes to come. */
  caches(): readonly Cache[] {
    const { codeDir } = this.#options;
    return [this.#kept, ...(codeDir === undefined ? [] : [new FolderCache(codeDir)])];
  }

  /** A sandbox is started of this image. */
  used(image: Image): void {
    this.#kept.used(image);
  }

  /** Resolves once nothing is under way that outlives what it was begun for. */
  async close(): Promise<void> {
    await this.#options.shared.pushed();
  }

  /** Makes a function's image: its code upon what its dependencies are, or beside them. */
  async #make(from: Source, name: string, signal: AbortSignal): Promise<void> {
    const { spec, runtime } = from;
    await withBundle(this.#options, spec, signal, async (code, aside) => {
      const files = await dependencyFiles(code, spec, runtime.id);
      const base = files && (await this.#dependencies(from, { code, aside, files }, signal));
      const installs = spec.runtime.dependencies !== undefined && base === undefined;
      const making = { ...from, base: base ?? runtime, code, installs };
      await this.#limit(() => makeImage(this.#options, making, name, signal));
    });
  }

  /** The image of what `dependencies` make of their own files, which every version with the same ones is made upon. */
  async #dependencies(
    from: Source,
    { code, aside, files }: { code: string; aside: string; files: DependencyFiles },
    signal: AbortSignal,
  ): Promise<Image> {
    const image = await this.#installations.run(files.digest, signal, (shared) =>
      this.#options.shared.obtain('function', files.digest, shared, async (name) => {
        for (const each of files.names) await copyFile(join(code, each), join(aside, each));
        const making = { ...from, base: from.runtime, code: aside, installs: true };
        await this.#limit(() => makeImage(this.#options, making, name, shared));
      }),
    );
    this.#kept.used(image);
    return image;
  }

  /** The image that a function or its runtime names: the one that its version is bound to, or what the name stands for now. */
  async #named(
    spec: FunctionSpec,
    signal: AbortSignal,
    onOutput: OnOutput | undefined,
  ): Promise<{ image: Image; imageDigest: string | undefined }> {
    const { id, imageDigest } = spec;
    const reference = baseImageOf(spec);
    if (imageDigest !== undefined) {
      return { image: await this.#bound(reference, imageDigest, signal, onOutput), imageDigest };
    }
    // An answer that the registry gave for an earlier version may be out of date.
    const image = await this.#get(reference, signal, { onOutput, anewFor: id });
    // Panal replaces the image of a bundled runtime when it builds it anew.
    const isBundled = image.labels[LABEL.context] !== undefined;
    return { image, imageDigest: isBundled ? undefined : digestOf(image, reference) };
  }

  /** @param imageDigest as `digestOf` gave it, here or on another worker */
  async #bound(
    reference: string,
    imageDigest: string,
    signal: AbortSignal,
    onOutput: OnOutput | undefined,
  ): Promise<Image> {
    if (imageDigest.includes('@')) return await this.#get(imageDigest, signal, { onOutput });
    const image = await inspectImageId(this.#options.docker, imageDigest);
    if (image !== undefined) {
      this.#kept.used(image);
      return image;
    }
    throw new FunctionError(
      'IMAGE_NOT_FOUND',
      `the version is bound to the image ${imageDigest} of the name ${reference}, which is in no registry and not on ` +
        'this worker; push it, and register the function again',
    );
  }

  /** @param options.anewFor id of the version for which the registry is asked what the name stands for now */
  async #get(
    reference: string,
    signal: AbortSignal,
    { onOutput, anewFor }: { onOutput: OnOutput | undefined; anewFor?: string },
  ): Promise<Image> {
    if (this.#options.shared.owns(parsed(reference))) throw unknown(reference);
    const find = async (limited: AbortSignal): Promise<Image> => {
      const bundled = await findBundled(this.#options.runtimesDir, reference);
      const kept = await inspectImage(this.#options.docker, reference);
      // One without the label is an operator's own, made with another base: it stays.
      const context = kept?.labels[LABEL.context];
      if (kept !== undefined && context === undefined) {
        const isCurrent =
          anewFor === undefined || bundled !== undefined || (await this.#isCurrent(reference, kept, limited));
        return isCurrent ? kept : await this.#replaced(reference, limited, onOutput);
      }
      if (bundled === undefined) return kept ?? (await this.#fetched(reference, limited, onOutput));
      const current = context === bundled.context;
      if (kept !== undefined && current && !this.#options.shared.shared) return kept;
      return await this.#bundled(bundled, current, limited, onOutput);
    };
    const image = await this.#flights.run(anewFor ?? reference, signal, (shared) =>
      this.#within(reference, shared, find),
    );
    // The code of a function is its owner's; its image is not for others, whatever it is called.
    if (image.labels[LABEL.kind] === 'function') throw unknown(reference);
    this.#kept.used(image);
    return image;
  }

  /**
   * Does what may take long: a pull, a build.
   * @throws PlatformError IMAGE_PULL_FAILED, with the setting, if it takes too long
   */
  async #within<T>(
    reference: string,
    signal: AbortSignal,
    get: (limited: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { timeoutMs } = this.#options;
    const limit = AbortSignal.timeout(timeoutMs);
    try {
      return await get(AbortSignal.any([signal, limit]));
    } catch (cause) {
      if (!limit.aborted) throw cause;
      const why = `getting ${reference} took more than ${timeoutMs} ms (FAAS_PREPARE_TIMEOUT_MS of the worker)`;
      throw new PlatformError('IMAGE_PULL_FAILED', why, { cause });
    }
  }

  /**
   * The image of a bundled runtime; with a registry the one of the cluster, for the images of functions are named after
   * the very image they are made from.
   * @param current whether the one that is here was built from the same folder
   */
  async #bundled(
    bundled: BundledRuntime,
    current: boolean,
    signal: AbortSignal,
    onOutput: OnOutput | undefined,
  ): Promise<Image> {
    const { docker, shared, architecture } = this.#options;
    const build = async (): Promise<void> => {
      if (current) return;
      await this.#pulled(bundled.base, signal, onOutput).catch((error: unknown) => {
        throw error instanceof FunctionError ? baseMissing(bundled, error) : error;
      });
      announce(onOutput, `building ${bundled.image}`);
      await this.#limit(() => buildBundled(docker, bundled, signal));
    };
    if (!shared.shared) {
      await build();
      return await this.#made(bundled.image);
    }
    const tag = `${bundled.context}-${architecture}`;
    return await shared.obtain(basename(bundled.image), tag, signal, async (name) => {
      await build();
      await tagImage(docker, bundled.image, name);
    });
  }

  /** Whether the registry has this image under the name, or cannot be asked, or does not know the name. */
  async #isCurrent(reference: string, { digests }: Image, signal: AbortSignal): Promise<boolean> {
    if (parsed(reference).digest !== undefined) return true;
    const { docker, credentials } = this.#options;
    const limited = AbortSignal.any([signal, AbortSignal.timeout(REGISTRY_ANSWER_MS)]);
    const digest = await digestInRegistry(docker, reference, credentials, limited).catch(() => undefined);
    signal.throwIfAborted();
    return digest === undefined || digests.some((each) => each.endsWith(`@${digest}`));
  }

  /** Pulled for a function or a runtime, and nobody else's. */
  async #fetched(reference: string, signal: AbortSignal, onOutput: OnOutput | undefined): Promise<Image> {
    return await this.#noted(reference, await this.#pulled(reference, signal, onOutput));
  }

  /** What is under this name in the registry now, in place of what is here. */
  async #replaced(reference: string, signal: AbortSignal, onOutput: OnOutput | undefined): Promise<Image> {
    return await this.#noted(reference, await this.#pulledAnew(reference, signal, onOutput));
  }

  /** Noted as pulled, also by its digest, which stays its name if the tag moves on. */
  async #noted(reference: string, image: Image): Promise<Image> {
    await this.#kept.pulled(reference, image);
    await this.#kept.pulled(digestOf(image, reference), image);
    return image;
  }

  async #pulled(reference: string, signal: AbortSignal, onOutput: OnOutput | undefined): Promise<Image> {
    const kept = await inspectImage(this.#options.docker, reference);
    return kept ?? (await this.#pulledAnew(reference, signal, onOutput));
  }

  async #pulledAnew(reference: string, signal: AbortSignal, onOutput: OnOutput | undefined): Promise<Image> {
    announce(onOutput, `pulling ${reference}`);
    await this.#limit(() => pull(this.#options.docker, reference, this.#options.credentials, signal));
    return await this.#made(reference);
  }

  async #made(reference: string): Promise<Image> {
    const image = await inspectImage(this.#options.docker, reference);
    if (image !== undefined) return image;
    throw new PlatformError('SANDBOX_FAILED', `the engine no longer has ${reference}, which was just made`);
  }
}

const unknown = (reference: string): FunctionError =>
  new FunctionError('IMAGE_NOT_FOUND', `no image ${reference}`);

/** @throws FunctionError */
function parsed(reference: string): ImageReference {
  try {
    return parseImageReference(reference);
  } catch (error) {
    if (!(error instanceof BadImageReference)) throw error;
    throw new FunctionError('IMAGE_NOT_FOUND', `the image ${JSON.stringify(reference)} ${error.message}`);
  }
}

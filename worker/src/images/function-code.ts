import { lstat, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RuntimeFunctionSpec } from '@panal/protocol';
import type { FunctionImageTools } from './function-image.js';
import { touch } from '../cache/folder-cache.js';
import type { Image } from './image.js';
import type { Places } from './places.js';

/** Past these an image of the function starts as fast as its code can be copied. */
const MOST_ENTRIES = 500;
const MOST_BYTES = 16 * 1024 * 1024;

/** A `dependencies` that does nothing where a file is missing: `[ ! -f FILE ] || COMMAND`, and only one command. */
const GUARDED = /^\[ ! -f ([A-Za-z0-9][A-Za-z0-9._-]*) \] \|\| [A-Za-z0-9 ./=_-]+$/;

/**
 * The code of functions that need no image of their own: their `dependencies` do nothing, so that the runtime's image
 * with the bundle at its path is all of it. Kept unpacked, each by the name that its image would have.
 */
export class FunctionCode {
  readonly #root: string;
  readonly #tools: Pick<FunctionImageTools, 'bundle' | 'unpack'>;
  readonly #places: Places;

  constructor(root: string, tools: Pick<FunctionImageTools, 'bundle' | 'unpack'>, places: Places) {
    this.#root = root;
    this.#tools = tools;
    this.#places = places;
  }

  /** Folder with the code, not to be changed; `undefined` where the function needs an image, or is large. */
  async of(
    key: string,
    runtime: Image,
    spec: RuntimeFunctionSpec,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { dependencies, path } = spec.runtime;
    const guard = dependencies === undefined ? undefined : GUARDED.exec(dependencies)?.[1];
    if (dependencies !== undefined && guard === undefined) return undefined;
    const folder = join(this.#root, key);
    const code = join(folder, 'code');
    if ((await touch(folder)) && (await isThere(code))) return code;
    // Large even when packed. It is not fetched here, for it may come in the image that another worker made.
    if (spec.bundle.size > MOST_BYTES) return undefined;
    if (!(await this.#places.isEmpty(runtime, path))) return undefined;
    const bundle = await this.#tools.bundle(spec.bundle, signal);
    signal.throwIfAborted();
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    const unfinished = await mkdtemp(join(this.#root, 'making-'));
    try {
      const unpacked = join(unfinished, 'code');
      await this.#tools.unpack(bundle, spec.bundle.format, unpacked);
      if (guard !== undefined && (await isThere(join(unpacked, guard)))) return undefined;
      if (!(await isSmall(unpacked))) return undefined;
      await rename(unfinished, folder).catch(async (error: unknown) => {
        // Another worker with the same data folder was first.
        if (!(await isThere(code))) throw error;
      });
      return code;
    } finally {
      await rm(unfinished, { recursive: true, force: true });
    }
  }
}

async function isThere(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}

async function isSmall(folder: string): Promise<boolean> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  if (entries.length > MOST_ENTRIES) return false;
  let bytes = 0;
  for (const entry of entries) bytes += (await lstat(join(entry.parentPath, entry.name))).size;
  return bytes <= MOST_BYTES;
}

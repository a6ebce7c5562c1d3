import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, readlink, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { BundleFormat, BundleRef, FunctionSpec } from '@panal/protocol';
import { removeUnfinished, touch } from '../../cache/folder-cache.js';
import { isFolder, openTree, removeTree } from '../../trees.js';
import { Output } from '../protocol/output.js';
import { FunctionError, PlatformError, type Prepared } from '../sandbox.js';
import { buildEnvironment, certificatePaths } from './environment.js';
import { launch, placesOf, type Machine } from './launcher.js';

export type RuntimeFunction = Extract<FunctionSpec, { kind: 'runtime' }>;

/** Bytes kept of what `dependencies` print. */
const MAX_LOGS = 64 * 1024;
const DRAIN_MS = 1000;
/** More would not fit among the options of bubblewrap. */
const MOST_HOME_ENTRIES = 1000;

/** Where bundles come from, and how they are unpacked. */
export interface BundleSource {
  /** Path of the packed bundle on this machine. @throws PlatformError BUNDLE_UNAVAILABLE */
  get(bundle: BundleRef, signal: AbortSignal): Promise<string>;
  /** Unpacks `path` into the new or empty folder `target`. */
  unpack(path: string, format: BundleFormat, target: string): Promise<void>;
}

/** Something in a home; `target` is what a symbolic link says. */
export interface HomeEntry {
  name: string;
  target?: string;
}

/** A function's kept folder: its unpacked bundle with its dependencies. Never changed once it is made. */
export class FunctionFolder implements Prepared {
  readonly spec: RuntimeFunction;
  readonly path: string;
  readonly code: string;
  readonly home: string;
  /** What `dependencies` left in their home. */
  readonly homeEntries: readonly HomeEntry[];

  constructor(spec: RuntimeFunction, folder: string, homeEntries: readonly HomeEntry[]) {
    this.spec = spec;
    this.path = folder;
    this.code = join(folder, 'code');
    this.home = join(folder, 'home');
    this.homeEntries = homeEntries;
  }
}

/** Makes and keeps the folders of functions, under `root`. */
export class FunctionFolders {
  readonly #root: string;
  readonly #machine: Machine;
  readonly #bundles: BundleSource;
  readonly #timeoutMs: number;

  constructor(root: string, machine: Machine, bundles: BundleSource, timeoutMs: number) {
    this.#root = root;
    this.#machine = machine;
    this.#bundles = bundles;
    this.#timeoutMs = timeoutMs;
  }

  /** Removes what an earlier run did not finish. */
  async open(): Promise<void> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    await removeUnfinished(this.#root);
  }

  /** The folder of `spec`; made where it is missing, and put in its place only when it is whole. */
  async prepare(spec: RuntimeFunction, signal: AbortSignal): Promise<FunctionFolder> {
    const folder = join(this.#root, keyOf(spec));
    if (!(await touch(folder))) {
      const unfinished = await mkdtemp(join(this.#root, 'making-'));
      try {
        await this.#make(spec, unfinished, signal);
        await rename(unfinished, folder).catch((error: unknown) => {
          // Another function of the owner, with the same bundle, was first: its folder is as good.
          if (!(error instanceof Error && 'code' in error && error.code === 'ENOTEMPTY')) throw error;
        });
      } finally {
        await removeTree(unfinished);
      }
    }
    return new FunctionFolder(spec, folder, await entriesOf(join(folder, 'home')));
  }

  async #make(spec: RuntimeFunction, folder: string, signal: AbortSignal): Promise<void> {
    const { bundle, runtime } = spec;
    const packed = await this.#bundles.get(bundle, signal);
    await mkdir(join(folder, 'home'));
    await this.#bundles.unpack(packed, bundle.format, join(folder, 'code'));
    signal.throwIfAborted();
    if (runtime.dependencies === undefined) return;
    const tmp = join(folder, 'tmp');
    await mkdir(tmp);
    await this.#install(spec, runtime.dependencies, folder, signal);
    await removeTree(tmp);
    await checkLeft(folder);
  }

  async #install(
    spec: RuntimeFunction,
    dependencies: string,
    folder: string,
    signal: AbortSignal,
  ): Promise<void> {
    const folders = { code: join(folder, 'code'), home: join(folder, 'home'), tmp: join(folder, 'tmp') };
    const places = placesOf(this.#machine, folders, spec.runtime.path);
    const launched = launch(this.#machine, {
      argv: ['/bin/sh', '-c', dependencies],
      env: buildEnvironment(process.env, places),
      folders,
      codePath: spec.runtime.path,
      binds: [
        { from: folders.home, to: places.home, writable: true },
        { from: folders.tmp, to: places.tmp, writable: true },
        ...certificatePaths(process.env).map((path) => ({ from: path, to: path })),
      ],
      network: true,
      init: false,
      settings: undefined,
      cgroup: undefined,
      stdin: 'ignore',
    });
    const output = new Output({ maxOutput: 0, maxLogs: MAX_LOGS });
    launched.onOutput((piece) => output.addLogs(piece));
    const deadline = AbortSignal.timeout(this.#timeoutMs);
    const stop = AbortSignal.any([signal, deadline]);
    const onStop = (): void => launched.kill();
    stop.addEventListener('abort', onStop);
    if (stop.aborted) onStop();
    const exit = await launched.exit.catch((cause: unknown) => {
      throw new PlatformError('SANDBOX_FAILED', 'the dependencies command did not start', { cause });
    });
    launched.kill();
    await launched.drained(DRAIN_MS);
    stop.removeEventListener('abort', onStop);
    signal.throwIfAborted();
    if (exit.code === 0 && !deadline.aborted) return;
    const how = deadline.aborted
      ? `did not end within ${this.#timeoutMs} ms`
      : `exited with code ${exit.code}`;
    throw new FunctionError('DEPENDENCIES_FAILED', `dependencies ${how}`, output.logs, exit.code);
  }
}

/** Makes sure that sandboxes can start from what `dependencies` left. @throws FunctionError */
async function checkLeft(folder: string): Promise<void> {
  const [code, home] = [join(folder, 'code'), join(folder, 'home')];
  if (!(await isFolder(code)) || !(await isFolder(home))) {
    throw new FunctionError('DEPENDENCIES_FAILED', 'dependencies removed the folder they ran in');
  }
  await openTree(code, home);
  if ((await readdir(home)).length > MOST_HOME_ENTRIES) {
    const message = `dependencies left more than ${MOST_HOME_ENTRIES} entries at the top of their home`;
    throw new FunctionError('DEPENDENCIES_FAILED', message);
  }
}

async function entriesOf(home: string): Promise<HomeEntry[]> {
  const entries = await readdir(home, { withFileTypes: true });
  return await Promise.all(
    entries.map(async (entry) =>
      entry.isSymbolicLink()
        ? { name: entry.name, target: await readlink(join(home, entry.name)) }
        : { name: entry.name },
    ),
  );
}

/** Functions share a folder when all that made it is the same, and their owner is. */
function keyOf({ owner, bundle, runtime }: RuntimeFunction): string {
  const parts = [owner, bundle.sha256, runtime.path, runtime.dependencies ?? '', runtime.image];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** The folder under `runtimesDir` of the bundled runtime whose image is `image`; undefined for any other runtime. */
export async function runtimeFolder(runtimesDir: string, image: string): Promise<string | undefined> {
  for (const name of await readdir(runtimesDir).catch(() => [])) {
    const folder = join(runtimesDir, name);
    const text = await readFile(join(folder, 'runtime.json'), 'utf8').catch(() => 'null');
    const runtime: unknown = JSON.parse(text);
    if (typeof runtime === 'object' && runtime !== null && 'image' in runtime && runtime.image === image) {
      return folder;
    }
  }
  return undefined;
}

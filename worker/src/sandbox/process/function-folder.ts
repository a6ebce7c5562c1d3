import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, readFile, readlink, rename } from 'node:fs/promises';
import { join } from 'node:path';
import {
  BadImageReference,
  canonicalName,
  parseImageReference,
  type BundleFormat,
  type BundleRef,
  type RuntimeFunctionSpec,
} from '@panal/protocol';
import {
  SingleFlight,
  copyTree,
  giveTree,
  isFolder,
  makeFolders,
  openTree,
  removeTree,
} from '@panal/support';
import { copyFrom, removeUnfinished, touch } from '../../cache/folder-cache.js';
import { dependencyFiles, type DependencyFiles } from '../../bundles/dependency-files.js';
import { FunctionError } from '../../errors.js';
import type { OnOutput } from '../../output/on-output.js';
import type { Prepared } from '../sandbox.js';
import type { Installer } from './installer.js';
import type { OwnerUids } from './uids.js';

/** More would not fit among the options of bubblewrap. */
const MOST_HOME_ENTRIES = 1000;

/** Where bundles come from, and how they are unpacked. */
export interface BundleSource {
  /** Path of the packed bundle on this machine. @throws PlatformError BUNDLE_UNAVAILABLE */
  get(bundle: BundleRef, signal: AbortSignal): Promise<string>;
  /** Unpacks `path` into the new or empty folder `target`. */
  unpack(path: string, format: BundleFormat, target: string): Promise<void>;
}

/** A function, and the user whom its files belong to. */
interface Owned {
  spec: RuntimeFunctionSpec;
  uid: number | undefined;
}

/** Something in a home; `target` is what a symbolic link says. */
export interface HomeEntry {
  name: string;
  target?: string;
}

/** Runs a function's `dependencies` in a folder with code and home. */
type Install = (folder: string, signal: AbortSignal) => Promise<void>;

/** A function's kept folder: its unpacked bundle with its dependencies. Never changed once it is made. */
export class FunctionFolder implements Prepared {
  readonly spec: RuntimeFunctionSpec;
  readonly path: string;
  readonly code: string;
  readonly home: string;
  /** What `dependencies` left in their home. */
  readonly homeEntries: readonly HomeEntry[];
  /** The user whom it belongs to, and who runs it; undefined for the worker's own. */
  readonly uid: number | undefined;

  constructor(
    spec: RuntimeFunctionSpec,
    folder: string,
    homeEntries: readonly HomeEntry[],
    uid: number | undefined,
  ) {
    this.spec = spec;
    this.path = folder;
    this.code = join(folder, 'code');
    this.home = join(folder, 'home');
    this.homeEntries = homeEntries;
    this.uid = uid;
  }
}

/** Makes and keeps the folders of functions, under `root`. */
export class FunctionFolders {
  readonly #root: string;
  readonly #installer: Installer;
  readonly #bundles: BundleSource;
  readonly #uids: OwnerUids | undefined;
  readonly #installations = new SingleFlight<void>();

  constructor(root: string, installer: Installer, bundles: BundleSource, uids: OwnerUids | undefined) {
    this.#root = root;
    this.#installer = installer;
    this.#bundles = bundles;
    this.#uids = uids;
  }

  /** Removes what an earlier run did not finish. */
  async open(): Promise<void> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    await removeUnfinished(this.#root);
  }

  /** The folder of `spec`; made where it is missing, and put in its place only when it is whole. */
  async prepare(
    spec: RuntimeFunctionSpec,
    signal: AbortSignal,
    onOutput?: OnOutput,
  ): Promise<FunctionFolder> {
    const uid = await this.#uids?.of(spec.owner);
    const folder = join(this.#root, keyOf(spec, uid));
    if (!(await touch(folder))) {
      const unfinished = await mkdtemp(join(this.#root, 'making-'));
      try {
        await this.#make({ spec, uid }, unfinished, signal, onOutput);
        await rename(unfinished, folder).catch((error: unknown) => {
          // Another function of the owner, with the same bundle, was first: its folder is as good.
          if (!(error instanceof Error && 'code' in error && error.code === 'ENOTEMPTY')) throw error;
        });
      } finally {
        await removeTree(unfinished);
      }
    }
    return new FunctionFolder(spec, folder, await entriesOf(join(folder, 'home')), uid);
  }

  async #make(
    owned: Owned,
    folder: string,
    signal: AbortSignal,
    onOutput: OnOutput | undefined,
  ): Promise<void> {
    const { spec, uid } = owned;
    const { bundle, runtime } = spec;
    const packed = await this.#bundles.get(bundle, signal);
    await makeFolders(join(folder, 'home'));
    await this.#bundles.unpack(packed, bundle.format, join(folder, 'code'));
    await giveTree(uid, join(folder, 'code'), join(folder, 'home'));
    signal.throwIfAborted();
    if (runtime.dependencies === undefined) return;
    const files = await dependencyFiles(join(folder, 'code'), spec, runtime.image);
    const install: Install = async (into, stop) =>
      this.#installIn(into, owned, runtime.dependencies ?? '', stop, onOutput);
    if (files !== undefined && (await this.#reuse({ files, uid }, folder, signal, install))) return;
    await install(folder, signal);
  }

  async #installIn(
    folder: string,
    { spec, uid }: Owned,
    dependencies: string,
    signal: AbortSignal,
    onOutput: OnOutput | undefined,
  ): Promise<void> {
    const tmp = join(folder, 'tmp');
    await makeFolders(tmp);
    await giveTree(uid, tmp, join(folder, 'code'), join(folder, 'home'));
    const folders = { root: folder, code: join(folder, 'code'), home: join(folder, 'home'), tmp };
    await this.#installer.run(spec, dependencies, folders, { uid, signal }, onOutput);
    await removeTree(tmp, join(folder, 'egress'));
    await checkLeft(folder);
  }

  /**
   * Copies what `dependencies` made of their own files beside the code in `folder`; `false` if they made something that
   * the bundle has too, so that they have to run there.
   */
  async #reuse(
    { files, uid }: { files: DependencyFiles; uid: number | undefined },
    folder: string,
    signal: AbortSignal,
    install: Install,
  ): Promise<boolean> {
    const made = join(this.#root, uid === undefined ? files.digest : `${files.digest}-${uid}`);
    const code = join(folder, 'code');
    await this.#installations.run(files.digest, signal, async (shared) => {
      if (!(await touch(made))) await this.#keep(made, { code, files }, shared, install);
    });
    return await copyFrom(made, async () => {
      const beside = (await readdir(join(made, 'code'))).filter((name) => !files.names.includes(name));
      const own = new Set(await readdir(code));
      if (beside.some((name) => own.has(name))) return false;
      for (const name of beside) await copyTree(join(made, 'code', name), join(code, name));
      await removeTree(join(folder, 'home'));
      await copyTree(join(made, 'home'), join(folder, 'home'));
      return true;
    });
  }

  /** Runs `dependencies` on copies of their own files, and keeps what is there then as `made`. */
  async #keep(
    made: string,
    { code, files }: { code: string; files: DependencyFiles },
    signal: AbortSignal,
    install: Install,
  ): Promise<void> {
    const unfinished = await mkdtemp(join(this.#root, 'making-'));
    try {
      await makeFolders(join(unfinished, 'code'), join(unfinished, 'home'));
      for (const name of files.names) await copyFile(join(code, name), join(unfinished, 'code', name));
      await install(unfinished, signal);
      await rename(unfinished, made);
    } finally {
      await removeTree(unfinished);
    }
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
function keyOf({ owner, bundle, runtime, settings }: RuntimeFunctionSpec, uid: number | undefined): string {
  const { path, dependencies, image } = runtime;
  // The environment takes part only in what runs.
  const made = dependencies === undefined ? [''] : [dependencies, settings.env];
  const parts = [owner, bundle.sha256, path, ...made, image, ...(uid === undefined ? [] : [uid])];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** The folders of the bundled runtimes under `runtimesDir`, by the whole names of their images. */
export async function bundledRuntimes(runtimesDir: string): Promise<ReadonlyMap<string, string>> {
  const folders = new Map<string, string>();
  for (const name of await readdir(runtimesDir).catch(() => [])) {
    const folder = join(runtimesDir, name);
    const text = await readFile(join(folder, 'runtime.json'), 'utf8').catch(() => 'null');
    const runtime: unknown = JSON.parse(text);
    if (typeof runtime !== 'object' || runtime === null || !('image' in runtime)) continue;
    if (typeof runtime.image === 'string') folders.set(wholeName(runtime.image), folder);
  }
  return folders;
}

/** The name of an image as engines complete it; one that is no image's name as it is. */
export function wholeName(image: string): string {
  try {
    return canonicalName(parseImageReference(image));
  } catch (error) {
    if (error instanceof BadImageReference) return image;
    throw error;
  }
}

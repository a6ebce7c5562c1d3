import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { BundleRef, RuntimeFunctionSpec } from '@panal/protocol';
import type Docker from 'dockerode';
import type { Container, ContainerInfo } from 'dockerode';
import { makeFolders, removeTree } from '@panal/support';
import { reaching } from '../egress/environment.js';
import { attach, exitCodeOf, removeContainer } from '../engine/container.js';
import { demultiplex } from '../engine/demux.js';
import { hardened, volumesInMemory, type Confines } from '../engine/hardening.js';
import { LABEL } from '../engine/labels.js';
import type { Hosts } from '../engine/hosts.js';
import { networkMode } from '../engine/network.js';
import type { Followed, Watch } from '../engine/watch.js';
import { endedLate, INSTALLING, MEMORY_SETTING, type Installation } from '../egress/installation.js';
import { FunctionError } from '../errors.js';
import { announce, type OnOutput } from '../output/on-output.js';
import { archive } from '../engine/archive.js';
import type { Image } from './image.js';
import type { WayOut, Outlet } from './way-out.js';
import { Tail } from '../output/tail.js';

/** What a function's image is made with. */
export interface FunctionImageTools {
  docker: Docker;
  workerId: string;
  /** Folder for what is unpacked meanwhile. */
  folder: string;
  confines: Confines;
  /** What a run of `dependencies` may take and reach. */
  installation: Installation;
  /** How `dependencies` reach their registries; `undefined`: they do not, or by a bridge. */
  outlet: Outlet | undefined;
  hosts: Hosts;
  watch: Watch;
  /** Gives the path of a bundle on this machine. */
  bundle: (ref: BundleRef, signal: AbortSignal) => Promise<string>;
  unpack: (path: string, format: BundleRef['format'], folder: string) => Promise<void>;
}

/** The engine leaves the size out where the container has written nothing. */
type Sized = ContainerInfo & { SizeRw?: number };

/** What package managers need to install as root: to own files and to drop to another user. */
const INSTALLATION_CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETUID', 'SETGID'];
/** Takes assignments up to `--`, and runs the command after it. An image takes over the environment of its container. */
const IN_ENVIRONMENT = 'while [ "$1" != -- ]; do export "$1"; shift; done; exec /bin/sh -c "$2"';
/** Bytes kept of the end of the installation's output. */
const OUTPUT_KEPT = 64 * 1024;

/**
 * The tag of a function's image stands for all that goes into it; the owner too, so that no owner ever runs what
 * another's dependencies made.
 */
export function functionImageTag(
  runtime: Image,
  { runtime: { path, dependencies }, bundle, owner, settings }: RuntimeFunctionSpec,
): string {
  // Without dependencies nothing runs in that environment until a call does.
  const env = dependencies === undefined ? {} : settings.env;
  const parts = [runtime.id, bundle.sha256, path, dependencies ?? '', owner, env];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** What an image is made of. */
export interface Making {
  spec: RuntimeFunctionSpec;
  /** Its runtime's image, of which it takes over the command. */
  runtime: Image;
  /** What it is made upon. */
  base: Image;
  /** The folder whose content goes to the runtime's path. */
  code: string;
  /** Whether `dependencies` run there. */
  installs: boolean;
  /** Gets what they put out. */
  onOutput: OnOutput | undefined;
}

/**
 * Makes the image `name`: its base, with code at the runtime's path, after `dependencies` ran there if they are to.
 * @throws FunctionError `DEPENDENCIES_FAILED`
 */
export async function makeImage(
  tools: FunctionImageTools,
  making: Making,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const { spec, installs } = making;
  signal.throwIfAborted();
  const way = installs ? await tools.outlet?.open(spec.settings.env) : undefined;
  try {
    await makeIn(tools, making, name, way, signal);
  } finally {
    await way?.close();
  }
}

async function makeIn(
  tools: FunctionImageTools,
  { spec, runtime, base, code, installs, onOutput }: Making,
  name: string,
  way: WayOut | undefined,
  signal: AbortSignal,
): Promise<void> {
  const called = `panal-build-${spec.name}-${randomBytes(6).toString('hex')}`;
  const followed = tools.watch.follow(called);
  // Not cut off by `signal`: a container whose name never came back could not be removed.
  const container = await createBuildContainer(tools, called, base, spec, way);
  try {
    if (!bridged(tools)) await tools.hosts.putInto(container);
    signal.throwIfAborted();
    await container.putArchive(archive(code), { path: spec.runtime.path });
    if (installs) await install(tools, { container, followed }, signal, onOutput);
    signal.throwIfAborted();
    await commit(container, { runtime, spec, name, bytes: await writtenIn(tools.docker, container) });
  } finally {
    followed.release();
    await removeContainer(container);
  }
}

async function createBuildContainer(
  tools: FunctionImageTools,
  called: string,
  base: Image,
  spec: RuntimeFunctionSpec,
  way: WayOut | undefined,
): Promise<Container> {
  const { docker, workerId, confines, installation, hosts } = tools;
  const { id, owner, runtime } = spec;
  const { path, dependencies } = runtime;
  const bridge = bridged(tools);
  const reach = bridge ? 'bridge' : way === undefined ? 'none' : 'registries';
  const environment = reaching(spec.settings.env, reach, installation.proxy);
  const assignments = Object.entries(environment).map((each) => each.join('='));
  const network = await networkMode(docker, bridge ? 'bridge' : 'none');
  const roomier = { ...confines, diskMb: installation.diskMb };
  const mounts = bridge ? [] : [...hosts.mounts, ...(way?.mounts ?? [])];
  return await docker.createContainer({
    name: called,
    Image: base.id,
    Entrypoint: [...(way?.prefix ?? []), '/bin/sh', '-c', IN_ENVIRONMENT, 'sh'],
    Cmd: [...assignments, '--', dependencies ?? ''],
    User: '0:0',
    WorkingDir: path,
    NetworkDisabled: !bridge,
    Healthcheck: { Test: ['NONE'] },
    Labels: {
      [LABEL.worker]: workerId,
      [LABEL.kind]: 'build',
      [LABEL.function]: id,
      [LABEL.owner]: owner,
    },
    HostConfig: {
      ...hardened({ ...installation, network }, roomier),
      CapAdd: INSTALLATION_CAPABILITIES,
      Init: true,
      Mounts: [...mounts, ...volumesInMemory(base.volumes, mounts, installation.memoryMb)],
    },
  });
}

const bridged = ({ installation }: FunctionImageTools): boolean => installation.network === 'bridge';

/** Unpacks the bundle of a function, for as long as `use` takes. `aside`: an empty folder beside it. */
export async function withBundle<T>(
  { folder, bundle, unpack }: FunctionImageTools,
  spec: RuntimeFunctionSpec,
  signal: AbortSignal,
  use: (code: string, aside: string) => Promise<T>,
): Promise<T> {
  const packed = await bundle(spec.bundle, signal);
  signal.throwIfAborted();
  await mkdir(folder, { recursive: true });
  const temporary = await mkdtemp(join(folder, 'unpack-'));
  try {
    const [code, aside] = [join(temporary, 'code'), join(temporary, 'aside')];
    // The temporary folder is closed to others; these take their modes into the image.
    await makeFolders(code, aside);
    await unpack(packed, spec.bundle.format, code);
    return await use(code, aside);
  } finally {
    await removeTree(temporary);
  }
}

async function install(
  { installation }: FunctionImageTools,
  { container, followed }: { container: Container; followed: Followed },
  signal: AbortSignal,
  onOutput: OnOutput | undefined,
): Promise<void> {
  announce(onOutput, INSTALLING);
  const output = new Tail(OUTPUT_KEPT);
  const stream = await attach(container, { stdout: true, stderr: true });
  const heard = (piece: Uint8Array): void => {
    output.add(piece);
    onOutput?.(piece);
  };
  const read = demultiplex(stream, { stdout: heard, stderr: heard });
  const limit = AbortSignal.timeout(installation.timeoutMs);
  const stop = (): void => {
    // Where it cannot be killed it is gone, or its removal, which follows, says so.
    container.kill().catch(() => undefined);
  };
  const either = AbortSignal.any([signal, limit]);
  either.addEventListener('abort', stop, { once: true });
  try {
    await container.start();
    if (either.aborted) stop();
    await read;
    const exitCode = await exitCodeOf(container);
    signal.throwIfAborted();
    if (limit.aborted) {
      throw new FunctionError('DEPENDENCIES_FAILED', endedLate(installation), output.bytes);
    }
    if (exitCode !== 0) {
      const why = await followed.explain(installation.memoryMb, MEMORY_SETTING);
      const message = `dependencies ${why?.message ?? `exited with code ${exitCode}`}`;
      throw new FunctionError('DEPENDENCIES_FAILED', message, output.bytes, exitCode);
    }
  } finally {
    either.removeEventListener('abort', stop);
    stream.destroy();
  }
}

/** Bytes that a container has beyond its image. */
async function writtenIn(docker: Docker, { id }: Container): Promise<number> {
  const found: Sized[] = await docker.listContainers({ all: true, size: true, filters: { id: [id] } });
  return found[0]?.SizeRw ?? 0;
}

interface Commit {
  runtime: Image;
  spec: RuntimeFunctionSpec;
  name: string;
  bytes: number;
}

async function commit(container: Container, { runtime, spec, name, bytes }: Commit): Promise<void> {
  const {
    id,
    owner,
    runtime: { path },
  } = spec;
  // A registry's address may have a colon too.
  const colon = name.lastIndexOf(':');
  await container.commit({
    _query: { container: container.id, repo: name.slice(0, colon), tag: name.slice(colon + 1), pause: false },
    // What is left out here would be taken over from the container.
    _body: {
      Entrypoint: runtime.entrypoint,
      Cmd: runtime.cmd,
      User: runtime.user,
      WorkingDir: path,
      Labels: {
        [LABEL.worker]: '',
        [LABEL.kind]: 'function',
        [LABEL.function]: id,
        [LABEL.owner]: owner,
        [LABEL.bytes]: String(bytes),
      },
    },
  });
}

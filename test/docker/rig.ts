import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { unpack } from '@panal/bundle';
import type { FunctionSpec, Lifecycle, RuntimeSpec, SandboxSettings } from '@panal/protocol';
import Docker from 'dockerode';
import { pino } from 'pino';
import { statusOf } from '../../worker/src/engine/errors.js';
import { NO_CLAIMS, type Claims } from '../../worker/src/link/claim-client.js';
import { Credentials } from '../../worker/src/images/credentials.js';
import { agentPath } from '../../worker/src/sandbox/agent.js';
import { DockerDriver } from '../../worker/src/sandbox/docker/driver.js';
import type { Installation } from '../../worker/src/egress/installation.js';
import type { RunRequest, RunResult } from '../../worker/src/contracts/run.js';
import type { DriverInfo, Sandbox } from '../../worker/src/sandbox/sandbox.js';
import { tarGz, type ArchiveEntry } from '../../testkit/archives.js';
import { ENGINE_SOCKET } from '../support/groups.js';
import { installation } from '../support/installation.js';
import { imageSpec, runtimeSpec } from '../support/specs.js';

/**
 * How a driver reaches the processes of its sandboxes: the agent over sockets; the agent over the streams of the
 * containers, as with an engine on another machine; the engine alone.
 */
export const WAYS = ['agent', 'remote', 'engine'] as const;
export type Way = (typeof WAYS)[number];

const LIMITS = { maxUnpacked: 1 << 28, maxEntries: 1000 };
const RUNTIMES = fileURLToPath(new URL('../../runtimes/', import.meta.url));
const IMAGES = fileURLToPath(new URL('../images/build', import.meta.url));

/** What a function's image is made from in these tests, unless they say otherwise. */
export const shellRuntime: RuntimeSpec = { name: 'shell', image: 'busybox:latest', path: '/ws', run: 'cat' };

/** Builds the images `example/reverse-string` and `example/noshell`. */
export async function buildExamples(): Promise<void> {
  await promisify(execFile)(IMAGES);
}

/** A real engine and drivers on it, with an owner and worker of its own, so that everything can be found and removed. */
export class Rig {
  readonly docker = new Docker();
  readonly owner = `test-${randomBytes(4).toString('hex')}`;
  readonly workerId = `worker-${this.owner}`;
  readonly #dataDir: string;
  readonly #drivers: DockerDriver[] = [];
  readonly #servers: Server[] = [];
  readonly #images: string[] = [];
  readonly #bundles = new Map<string, string>();

  private constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  static async make(): Promise<Rig> {
    return new Rig(await mkdtemp(join(tmpdir(), 'panal-docker-')));
  }

  get dataDir(): string {
    return this.#dataDir;
  }

  driver(
    way: Way,
    docker: Docker = this.docker,
    options: {
      runtimesDir?: string;
      blanks?: boolean;
      registry?: string;
      credentials?: string;
      claims?: Claims;
      installation?: Partial<Installation>;
      prepareTimeoutMs?: number;
    } = {},
  ): DockerDriver {
    const driver = new DockerDriver({
      docker,
      workerId: this.workerId,
      dataDir: this.#dataDir,
      bundles: { get: async ({ sha256 }) => this.#bundles.get(sha256) ?? '' },
      unpack: (path, format, folder) => unpack(path, format, folder, LIMITS),
      agent: way === 'engine' ? undefined : agentPath(),
      runtimesDir: options.runtimesDir ?? RUNTIMES,
      blanks: options.blanks ?? false,
      prepareTimeoutMs: options.prepareTimeoutMs ?? 60_000,
      installation: installation(options.installation),
      runtime: undefined,
      diskMb: 256,
      registry: options.registry,
      credentials: new Credentials(options.credentials),
      claims: options.claims ?? NO_CLAIMS,
      log: pino({ level: 'silent' }),
    });
    this.#drivers.push(driver);
    return driver;
  }

  async open(way: Way): Promise<{ driver: DockerDriver; info: DriverInfo }> {
    const driver = this.driver(way, way === 'remote' ? await this.remoteEngine() : this.docker);
    return { driver, info: await driver.open() };
  }

  /** The same engine, as if it were on another machine. */
  async remoteEngine(): Promise<Docker> {
    const server = createServer({ allowHalfOpen: true }, (client) => forward(client));
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return new Docker({ host: '127.0.0.1', port, protocol: 'http' });
  }

  /** A runtime function: `run` by the shell of busybox, unless another runtime is given. */
  async shell(
    run: string,
    options: {
      runtime?: Partial<RuntimeSpec>;
      files?: ArchiveEntry[];
      settings?: Partial<SandboxSettings>;
    } = {},
  ): Promise<FunctionSpec> {
    const { runtime, files = [{ name: 'hello.txt', content: 'hello\n' }], settings } = options;
    const archive = tarGz(files);
    const sha256 = await digest(archive);
    const path = join(this.#dataDir, `${sha256}.tar.gz`);
    await writeFile(path, archive);
    this.#bundles.set(sha256, path);
    return runtimeSpec('shell', {
      owner: this.owner,
      sha256,
      runtime: { ...shellRuntime, run, ...runtime },
      ...(settings !== undefined && { settings }),
    });
  }

  image(name: string, settings: Partial<SandboxSettings> = {}): FunctionSpec {
    return imageSpec(name.replace(/[^a-z-]/g, '-'), { image: name, owner: this.owner, settings });
  }

  /** Builds an image from the lines of a Dockerfile and gives its name. */
  async build(...lines: string[]): Promise<string> {
    const name = `panal-test/${this.owner}-${this.#images.length}`;
    this.#images.push(name);
    const folder = await mkdtemp(join(this.#dataDir, 'context-'));
    await writeFile(join(folder, 'Dockerfile'), `${lines.join('\n')}\n`);
    await promisify(execFile)('docker', ['build', '--quiet', '--tag', name, folder], {
      env: { ...process.env, DOCKER_BUILDKIT: '0' },
    });
    return name;
  }

  /** Has an image removed at the end. */
  discard(image: string): void {
    this.#images.push(image);
  }

  /** Names of the containers of this rig. */
  async containers(): Promise<string[]> {
    const filters = { label: [`panal.worker=${this.workerId}`] };
    const all = await this.docker.listContainers({ all: true, filters });
    return all.flatMap(({ Names }) => Names);
  }

  /** Removes every container and image that was made. */
  async remove(): Promise<void> {
    for (const driver of this.#drivers) await driver.close();
    for (const server of this.#servers) server.close();
    await this.removeImagesOf(this.owner);
    for (const image of this.#images) await this.#removeImage(image);
    await rm(this.#dataDir, { recursive: true, force: true });
  }

  /** Removes the images that were made for an owner, each before that which it was made upon. */
  async removeImagesOf(owner: string): Promise<void> {
    const filters = { label: [`panal.owner=${owner}`] };
    for (let images; (images = await this.docker.listImages({ filters })).length > 0;) {
      const bases = new Set(images.map(({ ParentId }) => ParentId));
      for (const { Id } of images) if (!bases.has(Id)) await this.#removeImage(Id);
    }
  }

  async #removeImage(image: string): Promise<void> {
    try {
      await this.docker.getImage(image).remove({ force: true });
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
    }
  }
}

function forward(client: Socket): void {
  const engine = connect({ path: ENGINE_SOCKET, allowHalfOpen: true });
  client.pipe(engine);
  engine.pipe(client);
  client.on('error', () => engine.destroy());
  engine.on('error', () => client.destroy());
  client.on('close', () => engine.destroy());
  engine.on('close', () => client.destroy());
}

async function digest(bytes: Buffer): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex');
}

/** A call of `body`, without argument unless told otherwise. */
export function call(body: string | Uint8Array = '', options: Partial<RunRequest> = {}): RunRequest {
  return {
    callNum: 1,
    attempt: 1,
    body: Buffer.from(body),
    argument: undefined,
    env: {},
    timeoutMs: 15_000,
    maxOutput: 1 << 24,
    maxLogs: 1 << 16,
    signal: new AbortController().signal,
    ...options,
  };
}

export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** Prepares a function, starts a sandbox of it and runs one call in it; the sandbox is removed. */
export async function runOnce(
  driver: DockerDriver,
  spec: FunctionSpec,
  request: RunRequest = call(),
  lifecycle: Lifecycle = 'fresh',
): Promise<RunResult> {
  const sandbox = await started(driver, spec, lifecycle);
  try {
    return await sandbox.run(request);
  } finally {
    await sandbox.remove();
  }
}

export async function started(
  driver: DockerDriver,
  spec: FunctionSpec,
  lifecycle: Lifecycle,
): Promise<Sandbox> {
  const { signal } = new AbortController();
  return await driver.start(await driver.prepare(spec, signal), lifecycle, signal);
}

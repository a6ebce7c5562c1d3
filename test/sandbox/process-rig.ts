import { createHash, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unpack } from '@panal/bundle';
import type { Lifecycle, RuntimeSpec, SandboxSettings } from '@panal/protocol';
import { pino } from 'pino';
import type { Installation } from '../../worker/src/egress/installation.js';
import type { OnOutput } from '../../worker/src/output/on-output.js';
import type { RunResult } from '../../worker/src/contracts/run.js';
import type { DriverInfo, Prepared, Sandbox } from '../../worker/src/sandbox/sandbox.js';
import { ProcessDriver } from '../../worker/src/sandbox/process/driver.js';
import { tarGz, type ArchiveEntry } from '../../testkit/archives.js';
import { installation } from '../support/installation.js';
import { runtimeSpec } from '../support/specs.js';
import { request } from './requests.js';

const RUNTIMES = fileURLToPath(new URL('../../runtimes', import.meta.url));
const never = new AbortController().signal;

export type Isolation = 'bubblewrap' | 'bare';

/** A function to run: files of its bundle, and what its runtime does with them. */
export interface TestFunction {
  files?: Record<string, string> | ArchiveEntry[];
  runtime?: Partial<RuntimeSpec>;
  settings?: Partial<SandboxSettings>;
  owner?: string;
}

/** A process driver with bundles from the test itself. */
export class ProcessRig {
  readonly dataDir: string;
  readonly driver: ProcessDriver;
  readonly #packed = new Map<string, string>();

  constructor(
    dataDir: string,
    agent: string | undefined,
    limits: Partial<Installation> = {},
    runtimesDir = RUNTIMES,
  ) {
    this.dataDir = dataDir;
    this.driver = new ProcessDriver({
      dataDir,
      bundles: { get: async ({ sha256 }) => this.#packed.get(sha256) ?? '' },
      unpack: async (path, format, target) =>
        unpack(path, format, target, { maxUnpacked: 1e7, maxEntries: 1000 }),
      agent,
      runtimesDir,
      installation: installation({ timeoutMs: 10_000, ...limits }),
      diskMb: 256,
      uids: { first: 200_000, last: 200_099 },
      log: pino({ level: 'silent' }),
    });
  }

  /** Opens the driver; `bare`: as on a machine without bubblewrap. */
  async open(isolation: Isolation = 'bubblewrap'): Promise<DriverInfo> {
    if (isolation === 'bubblewrap') return await this.driver.open();
    const { PATH } = process.env;
    try {
      process.env.PATH = await pathWithoutBubblewrap(join(this.dataDir, 'bin'));
      return await this.driver.open();
    } finally {
      process.env.PATH = PATH;
    }
  }

  /** Makes what sandboxes of the function start from. */
  async prepare(made: TestFunction, signal = never, onOutput?: OnOutput): Promise<Prepared> {
    const { files = { 'code.txt': '' }, runtime, settings, owner = 'public' } = made;
    const entries = Array.isArray(files)
      ? files
      : Object.entries(files).map(([name, content]) => ({ name, content }));
    const packed = tarGz(entries);
    const sha256 = createHash('sha256').update(packed).digest('hex');
    const path = join(this.dataDir, `${sha256}.tar.gz`);
    await writeFile(path, packed);
    this.#packed.set(sha256, path);
    const spec = runtimeSpec('f', {
      owner,
      sha256,
      id: randomUUID(),
      ...(settings === undefined ? {} : { settings }),
      runtime: { name: 'test', image: 'test', path: '/ws', run: 'cat', ...runtime },
    });
    return await this.driver.prepare(spec, signal, onOutput);
  }

  async start(lifecycle: Lifecycle, made: TestFunction): Promise<Sandbox> {
    return await this.driver.start(await this.prepare(made), lifecycle, never);
  }

  /** Runs `script` once in a sandbox of its own. */
  async once(
    script: string,
    options: Parameters<typeof request>[0] = {},
    made: TestFunction = {},
  ): Promise<RunResult> {
    const sandbox = await this.start('fresh', { ...made, runtime: { ...made.runtime, run: script } });
    try {
      return await sandbox.run(request(options));
    } finally {
      await sandbox.remove();
    }
  }
}

/** A folder with what the driver looks for, but for bubblewrap. */
async function pathWithoutBubblewrap(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await symlink(process.execPath, join(folder, 'node'));
  await symlink('/usr/bin/prlimit', join(folder, 'prlimit'));
  return folder;
}

/** A rig with an open driver, for all tests of the group it is called in. */
export function openRig(
  agent: () => string | undefined,
  isolation: Isolation = 'bubblewrap',
  limits: Partial<Installation> = {},
): () => ProcessRig {
  let folder = '';
  let rig: ProcessRig | undefined;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'panal-test-'));
    rig = new ProcessRig(folder, agent(), limits);
    await rig.open(isolation);
  });
  after(async () => {
    await rig?.driver.close();
    await rm(folder, { recursive: true, force: true });
  });
  return () => {
    if (rig === undefined) throw new Error('only in a test');
    return rig;
  };
}

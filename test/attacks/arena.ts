import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lifecycle } from '@panal/protocol';
import type { Cluster } from '../../testkit/cluster.js';
import { tarGz, type ArchiveEntry } from '../../testkit/archives.js';
import { engineCluster } from '../system/engine-cluster.js';

const ATTACKER = fileURLToPath(new URL('./attacker/', import.meta.url));
const file = (name: string): ArchiveEntry => ({ name, content: readFileSync(join(ATTACKER, name)) });
const CALLED = ['attacks.py', 'test.py', 'handler.py'].map(file);
const INSTALLER = ['attacks.py', 'install.py', 'test.py'].map(file);
/** What the attacker's own runtimes are made from. */
const PYTHON = 'python:3.12-slim';

/** Mini-workers of an arena; what a sandbox may keep on disk, and what a call may put out. */
export const DISK_MB = 64;
export const SLOTS = 6;
export const MAX_OUTPUT = 1 << 20;

export type Call = Record<string, unknown>;

/** A call of somebody else's, while functions that mean harm run beside it. */
export interface Seen {
  status: unknown;
  result: unknown;
  attempts: unknown;
  ms: number;
}

/**
 * A broker and one worker as a user meets them, a victim with a secret, and the attacker, deployed as any function is. A
 * call that the platform fails is not tried again, so that it would be seen.
 */
export class Arena {
  readonly panal: Cluster;
  readonly secret = randomBytes(12).toString('hex');
  /** A folder of the machine, with a file that holds the secret. */
  readonly folder: string;
  readonly workerId: string;
  readonly #bundle = tarGz(CALLED);
  readonly #stopping = new AbortController();
  #bystander: Promise<Seen[]> = Promise.resolve([]);

  private constructor(panal: Cluster, folder: string, workerId: string) {
    this.panal = panal;
    this.folder = folder;
    this.workerId = workerId;
  }

  /** @param settings of the worker */
  static async open(settings: Record<string, string>): Promise<Arena> {
    const folder = await mkdtemp(join(tmpdir(), 'panal-arena-'));
    const panal = await engineCluster({ FAAS_ATTEMPTS: '1' });
    const limits = {
      FAAS_DISK_MB: String(DISK_MB),
      FAAS_MAX_OUTPUT: String(MAX_OUTPUT),
      FAAS_SLOTS: String(SLOTS),
    };
    const worker = await panal.addWorker({ ...limits, ...settings });
    const id = /"worker":"([0-9a-f-]+)"/.exec(worker.said)?.[1] ?? '';
    const arena = new Arena(panal, folder, id);
    await writeFile(arena.canary, arena.secret);
    await arena.#deployVictim();
    return arena;
  }

  get canary(): string {
    return join(this.folder, 'canary.txt');
  }

  /** Name of the file in the victim's bundle that holds the secret. */
  get secretFile(): string {
    return `secret-${this.secret.slice(0, 6)}.txt`;
  }

  async deploy(name: string, lifecycle: Lifecycle, settings: Record<string, string>): Promise<void> {
    await this.#upload(name, this.#bundle, { lifecycle, cpus: '0.5', ...settings });
  }

  /**
   * Deploys a function of a runtime of its own, whose `dependencies` are the attack. What they achieved,
   * the attack `installed` says when it is called.
   */
  async deployInstaller(name: string, params: Record<string, unknown>): Promise<void> {
    const runtime = {
      ...{ name, image: PYTHON, path: '/ws', run: 'python3 test.py' },
      dependencies: 'python3 install.py',
    };
    const { status, text } = await this.panal.post('/registerRuntime', runtime);
    if (status !== 201) throw new Error(`the runtime ${name} was not registered: ${text}`);
    const bundle = tarGz([...INSTALLER, { name: 'attack.json', content: JSON.stringify(params) }]);
    await this.#upload(name, bundle, {}, name);
  }

  async call(funcName: string, params: Record<string, unknown>): Promise<Call> {
    return (await this.panal.post('/invokeFunction?wait=60', { funcName, params })).json;
  }

  /** Has the victim called again and again, until `bystander` is asked for what came of it. */
  watch(): void {
    this.#bystander = this.#callVictim();
  }

  async bystander(): Promise<Seen[]> {
    this.#stopping.abort();
    return await this.#bystander;
  }

  async workers(): Promise<Record<string, unknown>[]> {
    const workers: unknown = JSON.parse((await this.panal.request('GET', '/workers')).text);
    if (!Array.isArray(workers)) throw new TypeError('no list of workers');
    return workers as Record<string, unknown>[];
  }

  async close(): Promise<void> {
    await this.bystander();
    await this.panal.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #deployVictim(): Promise<void> {
    const code = 'import os, time; time.sleep(0.2); print(len(os.environ["SECRET"]))';
    const bundle = tarGz([
      { name: 'test.py', content: code },
      { name: this.secretFile, content: this.secret },
    ]);
    await this.#upload('victim', bundle, { env: JSON.stringify({ SECRET: this.secret }) });
  }

  async #upload(
    name: string,
    bundle: Buffer,
    settings: Record<string, string>,
    runtime = 'pythonruntime',
  ): Promise<void> {
    const path = `/registerFunction/${runtime}/${name}`;
    const { status, text } = await this.panal.upload(path, bundle, 'code.tar.gz', settings);
    if (status !== 201) throw new Error(`${name} was not registered: ${text}`);
  }

  async #callVictim(): Promise<Seen[]> {
    const seen: Seen[] = [];
    do {
      const began = performance.now();
      const { status, result, attempts } = await this.call('victim', { secret: this.secret });
      seen.push({ status, result, attempts, ms: performance.now() - began });
    } while (!this.#stopping.signal.aborted);
    return seen;
  }
}

/** Processes of this machine, in whatever container, whose command line has this in it. */
export function processesWith(mark: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(mark);
      } catch {
        return false;
      }
    });
}

/** Major and minor number of the disk that `/` lies on. */
export async function rootDisk(): Promise<[number, number]> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  const [, major, minor] = /^\d+ \d+ (\d+):(\d+) \/ \/ /m.exec(mounts) ?? [];
  return [Number(major), Number(minor)];
}

/** Of a call's record, what matters here. */
export function ending(call: Call = {}): Record<string, unknown> {
  const { status, error, result } = call as {
    status?: string;
    error?: { code: string };
    result?: string;
  };
  return {
    status,
    ...(error && { code: error.code }),
    ...(status === 'DONE' && { achieved: achievement(result) }),
  };
}

/** The attacker's list, which ends its output; where it forged something, that. */
function achievement(result = ''): unknown {
  const list = /\[[^[\]]*\]\n?$/.exec(result)?.[0];
  return list === undefined ? result : JSON.parse(list);
}

/** What attacks left on the machine outside of everything that is theirs. */
export function leftOn({ folder, secret }: Arena): string[] {
  const folders = [folder, '/usr/bin', '/etc', '/', '/run', '/tmp', join(folder, '..')];
  const planted = folders.map((each) => join(each, `planted-${secret}`));
  return [...planted, '/dev/shm/fill'].filter((path) => existsSync(path));
}

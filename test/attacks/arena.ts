import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lifecycle } from '@panal/protocol';
import { tarGz } from '../support/archives.js';
import { EngineCluster } from '../system/engine-cluster.js';

const ATTACKER = fileURLToPath(new URL('./attacker/', import.meta.url));
const FILES = ['attacks.py', 'test.py', 'handler.py'];

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
  readonly panal: EngineCluster;
  readonly secret = randomBytes(12).toString('hex');
  /** A folder of the machine, with a file that holds the secret. */
  readonly folder: string;
  readonly workerId: string;
  readonly #bundle = tarGz(FILES.map((name) => ({ name, content: readFileSync(join(ATTACKER, name)) })));
  readonly #stopping = new AbortController();
  #bystander: Promise<Seen[]> = Promise.resolve([]);

  private constructor(panal: EngineCluster, folder: string, workerId: string) {
    this.panal = panal;
    this.folder = folder;
    this.workerId = workerId;
  }

  /** @param settings of the worker */
  static async open(settings: Record<string, string>): Promise<Arena> {
    const folder = await mkdtemp(join(tmpdir(), 'panal-arena-'));
    const panal = await EngineCluster.start({ FAAS_ATTEMPTS: '1' });
    const limits = {
      FAAS_DISK_MB: String(DISK_MB),
      FAAS_MAX_OUTPUT: String(MAX_OUTPUT),
      FAAS_SLOTS: String(SLOTS),
    };
    const worker = await panal.worker({ ...limits, ...settings });
    const id = /"worker":"([0-9a-f-]+)"/.exec(worker.output)?.[1] ?? '';
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

  async #upload(name: string, bundle: Buffer, settings: Record<string, string>): Promise<void> {
    const path = `/registerFunction/pythonruntime/${name}`;
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

import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { SandboxSettings } from '@panal/protocol';

/** Processes that are not the function's: bubblewrap, its reaper, the agent. */
const OVERHEAD_PIDS = 3;
const CPU_PERIOD_US = 100_000;
const MiB = 1024 * 1024;
const V1_CONTROLLERS = ['memory', 'pids', 'cpu'] as const;

export type CgroupLimits = Pick<SandboxSettings, 'memoryMb' | 'cpus' | 'pids'>;

/** One sandbox's control group: its limits, and all of its processes however they tried to get away. */
export interface Cgroup {
  /** Files into which a process writes its number to belong to it. */
  readonly entrances: readonly string[];
  /** Whether the kernel killed a process for want of memory since this was asked last. */
  outOfMemory(): Promise<boolean>;
  /** Kills all of its processes. */
  kill(): Promise<void>;
  /** Kills and removes it. */
  remove(): Promise<void>;
}

/**
 * Control groups for the sandboxes of one worker, of version 2 or 1, where the worker may make them (mostly: as root).
 * Lies below the nearest group whose children get the controllers.
 */
export class Cgroups {
  readonly #folders: readonly string[];
  readonly #unified: boolean;

  private constructor(folders: readonly string[], unified: boolean) {
    this.#folders = folders;
    this.#unified = unified;
  }

  /**
   * Finds them, and removes what an earlier run with the same `dataDir` left; undefined where there are none to use.
   * `root` and `own` stand for the kernel's `/sys/fs/cgroup` and `/proc/self/cgroup`.
   */
  static async find(
    dataDir: string,
    root = '/sys/fs/cgroup',
    own = '/proc/self/cgroup',
  ): Promise<Cgroups | undefined> {
    const name = `panal-${createHash('sha256').update(dataDir).digest('hex').slice(0, 12)}`;
    try {
      const membership = (await readFile(own, 'utf8')).trim().split('\n');
      const unified = (await readdir(root)).includes('cgroup.controllers');
      const parents = unified ? [await unifiedParent(root, membership)] : v1Parents(root, membership);
      const found = new Cgroups(
        parents.map((parent) => join(parent, name)),
        unified,
      );
      await found.#open();
      return found;
    } catch {
      return undefined;
    }
  }

  async #open(): Promise<void> {
    for (const folder of this.#folders) {
      await makeGroup(folder);
      const entries = await readdir(folder, { withFileTypes: true });
      const left = entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name));
      await Promise.all(left.map((each) => removeGroup(each)));
      if (this.#unified) await writeFile(join(folder, 'cgroup.subtree_control'), '+memory +pids +cpu');
    }
  }

  /** Makes the group of one sandbox. @throws when the kernel refuses. */
  async create(id: string, settings: CgroupLimits): Promise<Cgroup> {
    const folders = this.#folders.map((folder) => join(folder, id));
    const [memory = '', pids = memory, cpu = memory] = folders;
    await Promise.all(folders.map(makeGroup));
    const bytes = String(settings.memoryMb * MiB);
    const most = String(settings.pids + OVERHEAD_PIDS);
    const quota = Math.max(1000, Math.round(settings.cpus * CPU_PERIOD_US));
    if (this.#unified) {
      await writeFile(join(memory, 'memory.max'), bytes);
      await writeFile(join(memory, 'memory.swap.max'), '0').catch(() => undefined);
      await writeFile(join(memory, 'cpu.max'), `${quota} ${CPU_PERIOD_US}`);
    } else {
      await writeFile(join(memory, 'memory.limit_in_bytes'), bytes);
      await writeFile(join(memory, 'memory.memsw.limit_in_bytes'), bytes).catch(() => undefined);
      await writeFile(join(cpu, 'cpu.cfs_period_us'), String(CPU_PERIOD_US));
      await writeFile(join(cpu, 'cpu.cfs_quota_us'), String(quota));
    }
    await writeFile(join(pids, 'pids.max'), most);
    return this.#group(folders, memory);
  }

  #group(folders: readonly string[], memory: string): Cgroup {
    const events = join(memory, this.#unified ? 'memory.events' : 'memory.oom_control');
    let known = 0;
    return {
      entrances: folders.map((folder) => join(folder, 'cgroup.procs')),
      outOfMemory: async () => {
        const text = await readFile(events, 'utf8').catch(() => '');
        const kills = Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
        const more = kills > known;
        known = kills;
        return more;
      },
      kill: () => killGroup(memory),
      remove: async () => {
        await killGroup(memory);
        await Promise.all(folders.map((folder) => removeGroup(folder)));
      },
    };
  }

  /** Removes the worker's own group, when its sandboxes are gone. */
  async close(): Promise<void> {
    await Promise.all(this.#folders.map((folder) => removeGroup(folder)));
  }
}

/** In version 2 a group's processes and its children's controllers exclude each other, so one goes up to a parent. */
async function unifiedParent(root: string, membership: readonly string[]): Promise<string> {
  const line = membership.find((each) => each.startsWith('0::'));
  if (line === undefined) throw new Error('not in a unified control group');
  for (let folder = join(root, line.slice(3)); folder.startsWith(root); folder = dirname(folder)) {
    const given = (await readFile(join(folder, 'cgroup.subtree_control'), 'utf8')).trim().split(' ');
    if (['memory', 'pids', 'cpu'].every((each) => given.includes(each))) return folder;
  }
  throw new Error('no control group gives its children the controllers');
}

function v1Parents(root: string, membership: readonly string[]): string[] {
  return V1_CONTROLLERS.map((controller) => {
    const line = membership.find((each) => each.split(':')[1]?.split(',').includes(controller));
    if (line === undefined) throw new Error(`the kernel has no ${controller} controller`);
    return join(root, controller, line.split(':').slice(2).join(':'));
  });
}

/** Not recursive: where no control groups are mounted, Node.js would try the parent and the folder for ever. */
async function makeGroup(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

async function killGroup(folder: string): Promise<void> {
  const numbers = await readFile(join(folder, 'cgroup.procs'), 'utf8').catch(() => '');
  for (const pid of numbers.split('\n').map(Number)) {
    if (pid <= 1) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It is gone already.
    }
  }
}

/** A group can go when its last process is reaped, a moment after it was killed. What stays is met by the next open. */
async function removeGroup(folder: string): Promise<void> {
  for (let round = 0; round < 20; round++) {
    await killGroup(folder);
    try {
      await rmdir(folder);
      return;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
      await pause(5);
    }
  }
}

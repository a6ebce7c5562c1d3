import type { HostConfig, MountSettings } from 'dockerode';

/** What a container may take of its machine. */
export interface Limits {
  memoryMb: number;
  /** Processor share, in cores. */
  cpus: number;
  /** Most processes and threads at once. */
  pids: number;
  /** `NetworkMode`, as the engine names it. */
  network: string;
}

/** What holds for every container of a worker, whatever runs in it. */
export interface Confines {
  /** Cores of the engine's machine; it refuses a container that asks for more. */
  cores: number;
  /** OCI runtime, by the engine's name for it; `undefined`: the engine's own choice. */
  runtime: string | undefined;
  /** Most that a container may keep on disk, in MiB: no file of it gets larger, and the disk guard ends what has more. */
  diskMb: number;
}

const MiB = 1024 * 1024;

/**
 * What every container gets that runs code of somebody else's: limits without swap to get around them, no
 * capabilities, no way to new privileges, nothing shared with other containers, no log kept by the engine. The
 * engine's default seccomp profile stays.
 */
export function hardened(limits: Limits, { cores, runtime, diskMb }: Confines): HostConfig {
  return {
    ...limiting(limits, cores),
    ...(runtime !== undefined && { Runtime: runtime }),
    NetworkMode: limits.network,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges'],
    IpcMode: 'private',
    Ulimits: [
      { Name: 'core', Soft: 0, Hard: 0 },
      { Name: 'nofile', Soft: 1024, Hard: 4096 },
      { Name: 'fsize', Soft: diskMb * MiB, Hard: diskMb * MiB },
    ],
    // Where the machine itself runs out of memory, functions die before the engine and the worker do.
    OomScoreAdj: 500,
    LogConfig: { Type: 'none', Config: {} },
  };
}

/**
 * The volumes that an image names, as empty folders that take of the container's memory: the engine would put them on its
 * disk, where nothing limits them.
 * @param mounts the others of the container, which come first
 */
export function volumesInMemory(
  volumes: readonly string[],
  mounts: readonly MountSettings[],
  memoryMb: number,
): MountSettings[] {
  return volumes
    .filter((path) => !mounts.some(({ Target }) => Target === path))
    .map((path) => ({
      Type: 'tmpfs',
      Source: '',
      Target: path,
      TmpfsOptions: { SizeBytes: memoryMb * MiB, Mode: 0o1777 },
    }));
}

/**
 * The limits that a container can also be given while it runs.
 * @param cores of the engine's machine
 */
export function limiting(
  { memoryMb, cpus, pids }: Omit<Limits, 'network'>,
  cores: number,
): Pick<HostConfig, 'Memory' | 'MemorySwap' | 'NanoCpus' | 'PidsLimit'> {
  const memory = memoryMb * MiB;
  return {
    Memory: memory,
    MemorySwap: memory,
    NanoCpus: Math.round(Math.min(cpus, cores) * 1e9),
    PidsLimit: pids,
  };
}

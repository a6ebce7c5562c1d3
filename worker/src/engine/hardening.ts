import type { HostConfig } from 'dockerode';

/** What a container may take of its machine. */
export interface Limits {
  memoryMb: number;
  /** Processor share, in cores. */
  cpus: number;
  /** Most processes and threads at once. */
  pids: number;
  network: 'none' | 'bridge';
}

const MiB = 1024 * 1024;

/**
 * What every container gets that runs code of somebody else's: limits without swap to get around them, no
 * capabilities, no way to new privileges, nothing shared with other containers, no log kept by the engine. The
 * engine's default seccomp profile stays.
 * @param cores of the engine's machine; it refuses a container that asks for more
 */
export function hardened(limits: Limits, cores: number): HostConfig {
  return {
    ...limiting(limits, cores),
    NetworkMode: limits.network,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges'],
    IpcMode: 'private',
    Ulimits: [
      { Name: 'core', Soft: 0, Hard: 0 },
      { Name: 'nofile', Soft: 1024, Hard: 4096 },
    ],
    // Where the machine itself runs out of memory, functions die before the engine and the worker do.
    OomScoreAdj: 500,
    LogConfig: { Type: 'none', Config: {} },
  };
}

/** The limits that a container can also be given while it runs. */
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

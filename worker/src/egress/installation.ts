import type { Config, NetworkRange } from '@panal/protocol';
import type { Reach } from './environment.js';

/** What is said when `dependencies` begin to run. */
export const INSTALLING = 'installing dependencies';

/** What one run of `dependencies` may take of its machine, and what it may reach. */
export interface Installation {
  /** Longest run, in ms. */
  timeoutMs: number;
  memoryMb: number;
  /** Processor share, in cores. */
  cpus: number;
  /** Most processes and threads at once. */
  pids: number;
  /** Most that it may keep on disk, in MiB. */
  diskMb: number;
  /** `registries`: HTTP and HTTPS through Panal's own proxy; `bridge`: in containers, the engine's; `none`: nothing. */
  network: Reach;
  /** Host names that it may reach, `*.` before a domain for every name below it; empty: all public ones. */
  hosts: readonly string[];
  /** Networks that are not public, and that it may reach all the same. */
  networks: readonly NetworkRange[];
  /** Host names or addresses of the cluster's own machines, none of which it reaches. */
  cluster: readonly string[];
  /** URL of the operator's HTTP proxy, through which every connection goes. */
  proxy: string | undefined;
}

/** Why a run of `dependencies` was ended, for its owner. */
export const endedLate = ({ timeoutMs }: Installation): string =>
  `dependencies did not end within ${timeoutMs} ms (FAAS_DEPS_TIMEOUT_MS of the worker)`;
/** Whose the limit of its memory is. */
export const MEMORY_SETTING = 'FAAS_DEPS_MEMORY_MB of the worker';

export function installationOf(config: Config): Installation {
  const registry = config.FAAS_REGISTRY;
  return {
    timeoutMs: config.FAAS_DEPS_TIMEOUT_MS,
    memoryMb: config.FAAS_DEPS_MEMORY_MB,
    cpus: config.FAAS_DEPS_CPUS,
    pids: config.FAAS_DEPS_PIDS,
    diskMb: config.FAAS_DEPS_DISK_MB,
    network: config.FAAS_DEPS_NETWORK,
    hosts: config.FAAS_DEPS_HOSTS,
    networks: config.FAAS_DEPS_NETWORKS,
    cluster: [
      hostOf(config.ZMQ_CONN_ADDRESS),
      ...(registry === undefined ? [] : [hostOf(`tcp://${registry}`)]),
    ],
    proxy: config.FAAS_DEPS_PROXY,
  };
}

const hostOf = (url: string): string => new URL(url).hostname.replace(/^\[|\]$/g, '');

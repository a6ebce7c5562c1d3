import type { Installation } from '../../worker/src/egress/installation.js';

/** Limits of `dependencies` for tests: those of the settings, but a shorter time. */
export function installation(changes: Partial<Installation> = {}): Installation {
  return {
    timeoutMs: 60_000,
    memoryMb: 2048,
    cpus: 2,
    pids: 1024,
    diskMb: 5120,
    network: 'registries',
    hosts: [],
    networks: [],
    cluster: [],
    proxy: undefined,
    ...changes,
  };
}

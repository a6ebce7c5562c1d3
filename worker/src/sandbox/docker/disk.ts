import { readdir } from 'node:fs/promises';
import { diskUse } from '@panal/support';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { DiskGuard, type DiskLimit, type Kept } from '../disk-guard.js';
import type { Containers } from './containers.js';
import { CODE_FOLDER } from './transport.js';

interface DiskLimits {
  sandbox: DiskLimit;
  build: DiskLimit;
}

/**
 * Guards what containers keep on disk from now on: what they wrote into themselves, as the engine says, and the folders with
 * their code, which lie in `folder`.
 * @param limits of a sandbox, and of a container in which `dependencies` run
 */
export function openDiskGuard(
  containers: Containers,
  folder: string,
  limits: DiskLimits,
  log: Pick<Logger, 'warn'>,
): DiskGuard {
  const guard = new DiskGuard({
    measure: () => keptBy(containers, folder, limits),
    end: (name, why) => containers.kill(name, why),
    log,
  });
  guard.open();
  return guard;
}

async function keptBy(containers: Containers, folder: string, limits: DiskLimits): Promise<Kept[]> {
  const codeOf = (name: string): string => join(folder, name, CODE_FOLDER);
  const sandboxes = await readdir(folder).catch(() => []);
  const [written, code] = await Promise.all([containers.sizes(), diskUse(sandboxes.map(codeOf))]);
  return written.map(({ name, build, bytes }) => ({
    name,
    bytes: bytes + (code.get(codeOf(name)) ?? 0),
    limit: build ? limits.build : limits.sandbox,
  }));
}

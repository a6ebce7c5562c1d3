import { constants } from 'node:fs';
import { chmod, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { upstreamFrom } from './environment.js';
import { EgressPolicy, type EgressRules } from './policy.js';
import { EgressProxy } from './proxy.js';

/** Name of the proxy's socket in its folder. */
export const EGRESS_SOCKET = 'socket';

export interface Egress {
  /** Holds the proxy's socket, and nothing else. */
  folder: string;
  close(): void;
}

/**
 * Opens a proxy for one sandbox, with a socket in a folder `egress` that is made in `parent`.
 * @param own the environment of what runs in the sandbox
 */
export async function openEgress(
  rules: EgressRules & { proxy: string | undefined },
  own: Readonly<Record<string, string>>,
  parent: string,
): Promise<Egress> {
  const folder = join(parent, 'egress');
  await mkdir(folder);
  await chmod(folder, 0o755);
  const proxy = new EgressProxy(new EgressPolicy(rules), upstreamFrom(rules.proxy, process.env, own));
  // A path through an open folder always fits the address of a socket.
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  const close = (): void => {
    proxy.close();
    handle.close().catch(() => undefined);
  };
  try {
    await proxy.listen(`/proc/self/fd/${handle.fd}/${EGRESS_SOCKET}`);
    return { folder, close };
  } catch (error) {
    close();
    throw error;
  }
}

import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bind } from './bubblewrap.js';

/** Files by which programs in a sandbox look names up, as Panal makes them. */
export interface NameFiles {
  /** `/etc/hosts` of a sandbox without a network, and of one that shares the machine's. */
  hosts: { none: string; bridge: string };
  nsswitch: string;
}

const LOCALHOST = `127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
127.0.0.1 sandbox
`;

/** Names of the machine's directory services mean nothing in a sandbox. */
const NSSWITCH = `passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
ethers: files
rpc: files
`;

/** Makes the files in `folder`. Names that the machine's own `/etc/hosts` has are known where its network is. */
export async function makeNameFiles(folder: string): Promise<NameFiles> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const own = await readFile('/etc/hosts', 'utf8').catch(() => '');
  const file = async (name: string, content: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, content);
    await chmod(path, 0o444);
    return path;
  };
  return {
    hosts: {
      none: await file('hosts', LOCALHOST),
      bridge: await file('hosts-bridge', `${LOCALHOST}${own}`),
    },
    nsswitch: await file('nsswitch.conf', NSSWITCH),
  };
}

/** Without a network there is nobody to ask, and no `/etc/resolv.conf` that names one. */
export function nameBinds({ hosts, nsswitch }: NameFiles, network: boolean): Bind[] {
  const binds = [
    { from: network ? hosts.bridge : hosts.none, to: '/etc/hosts' },
    { from: nsswitch, to: '/etc/nsswitch.conf' },
  ];
  return network ? [...binds, { from: '/etc/resolv.conf', to: '/etc/resolv.conf' }] : binds;
}

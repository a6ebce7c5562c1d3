import { existsSync } from 'node:fs';
import { arch } from 'node:process';
import { works } from '../testkit/shell.js';

/** What this machine lets the harness do. */
export interface Machine {
  /** Network namespaces and veth pairs. */
  namespaces: boolean;
  /** File systems of a bounded size. */
  mounts: boolean;
  /** File systems in files, whose power can be cut. */
  loops: boolean;
  /** The library that changes the clock of a process, where it is installed. */
  faketime: string | undefined;
  /** A container engine answers. */
  engine: boolean;
  /** An engine of its own can be started. */
  ownEngine: boolean;
}

const FAKETIME = `/usr/lib/${arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime/libfaketimeMT.so.1`;

const loopsWork = async (): Promise<boolean> =>
  (await works('mkfs.ext4', '-V')) && (await works('losetup', '--find'));

export async function lookAtMachine(): Promise<Machine> {
  const root = process.getuid?.() === 0;
  const [namespaces, mounts, loops, engine, ownEngine] = await Promise.all([
    root && works('ip', 'netns', 'list'),
    root && works('unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'),
    root && loopsWork(),
    works('docker', 'version'),
    root && works('dockerd', '--version'),
  ]);
  return {
    namespaces,
    mounts,
    loops,
    faketime: existsSync(FAKETIME) ? FAKETIME : undefined,
    engine,
    ownEngine,
  };
}

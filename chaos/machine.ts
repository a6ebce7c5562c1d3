import { existsSync } from 'node:fs';
import { arch } from 'node:process';
import { works } from './shell.js';

/** What this machine lets the harness do. */
export interface Machine {
  /** Network namespaces and veth pairs. */
  namespaces: boolean;
  /** File systems of a bounded size. */
  mounts: boolean;
  /** The library that changes the clock of a process, where it is installed. */
  faketime: string | undefined;
  /** A container engine answers. */
  engine: boolean;
  /** An engine of its own can be started. */
  ownEngine: boolean;
}

const FAKETIME = `/usr/lib/${arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime/libfaketimeMT.so.1`;

export async function lookAtMachine(): Promise<Machine> {
  const root = process.getuid?.() === 0;
  const [namespaces, mounts, engine, ownEngine] = await Promise.all([
    root && works('ip', 'netns', 'list'),
    root && works('unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'),
    works('docker', 'version'),
    root && works('dockerd', '--version'),
  ]);
  return { namespaces, mounts, faketime: existsSync(FAKETIME) ? FAKETIME : undefined, engine, ownEngine };
}

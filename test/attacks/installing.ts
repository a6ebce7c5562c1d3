import type { Arena } from './arena.js';
import { addresses, METADATA, NOTHING, plants, secrets, type Ending } from './table.js';

/** What a run of `dependencies` may take in these arenas. */
export const INSTALL_MS = 20_000;
export const INSTALL_MB = 192;
export const INSTALL_DISK_MB = 64;
export const INSTALL_PIDS = 40;

/** An attack from `dependencies`: what it is told, and how the first call of the function ends. */
export interface Installing {
  title: string;
  attack: string;
  params?: (arena: Arena) => Record<string, unknown> | Promise<Record<string, unknown>>;
  ends: Ending;
  /** What the error says. */
  because?: RegExp;
  /** What is called next, and achieves nothing either. */
  then?: string;
  only?: 'docker' | 'process';
}

const FAILED: Ending = { status: 'FAILED', code: 'DEPENDENCIES_FAILED' };
const LATE = /did not end within 20000 ms \(FAAS_DEPS_TIMEOUT_MS/;
const TOO_MUCH_MEMORY = /took more than 192 MiB of memory \(FAAS_DEPS_MEMORY_MB/;
const TOO_MUCH_DISK = /kept more than 64 MiB on disk \(FAAS_DEPS_DISK_MB/;

/** Names and spellings of the machine, the broker and the metadata service. */
function spellings(arena: Arena): string[] {
  const { port } = new URL(arena.panal.url);
  const names = ['localhost', '[::1]', '[::ffff:127.0.0.1]', '0x7f000001', '2130706433', '127.1', '0.0.0.0'];
  const metadata = ['[::ffff:169.254.169.254]', '0xa9fea9fe', '2852039166', '[fd00:ec2::254]'];
  return [
    ...addresses(arena),
    ...names.map((name) => `${name}:${port}`),
    ...metadata.map((name) => `${name}:80`),
    `${METADATA}.:80`,
  ];
}

export const INSTALLING: readonly Installing[] = [
  { title: 'a fork bomb', attack: 'fork_bomb', ends: FAILED, because: LATE },
  { title: 'a memory bomb', attack: 'memory_bomb', ends: FAILED, because: TOO_MUCH_MEMORY },
  {
    title: 'files in memory',
    attack: 'fill_memory_files',
    params: () => ({ past: INSTALL_MB }),
    ends: FAILED,
    because: TOO_MUCH_MEMORY,
  },
  {
    title: 'filling the disk from its own folder',
    attack: 'fill_disk',
    params: () => ({ folder: '.' }),
    ends: FAILED,
    because: TOO_MUCH_DISK,
  },
  {
    title: 'filling the disk from its home',
    attack: 'fill_disk',
    params: () => ({ folder: '~' }),
    ends: FAILED,
    because: TOO_MUCH_DISK,
  },
  {
    title: 'filling the disk from its temporary folder',
    attack: 'fill_disk',
    params: () => ({ folder: '/tmp' }),
    ends: FAILED,
    because: TOO_MUCH_DISK,
  },
  { title: 'a flood of output without a line end', attack: 'flood_stdout', ends: FAILED, because: LATE },
  { title: 'a flood of errors without a line end', attack: 'flood_stderr', ends: FAILED, because: LATE },
  {
    title: "reading another function's files and environment, and the machine's",
    attack: 'read_files',
    params: secrets,
    ends: NOTHING,
    then: 'read_files',
  },
  {
    title: 'reaching the metadata address and the broker',
    attack: 'reach',
    params: (arena) => ({ addresses: addresses(arena) }),
    ends: NOTHING,
  },
  {
    title: 'reaching them by the proxy, under any name',
    attack: 'reach_proxied',
    params: (arena) => ({ addresses: spellings(arena) }),
    ends: NOTHING,
  },
  {
    title: 'writing outside of its folder',
    attack: 'write_outside',
    params: plants,
    ends: NOTHING,
  },
  // Its relay to the proxy is its own, and can do no more than it may itself.
  { title: 'tracing what is not its own', attack: 'trace', ends: {} },
  { title: 'signals to what is not its own', attack: 'send_signals', ends: {} },
  {
    title: 'a process that outlives the command',
    attack: 'linger',
    params: ({ secret }) => ({ mark: secret, pace: 0.01 }),
    ends: NOTHING,
    then: 'lingering',
  },
  {
    title: 'links, pipes and closed folders for the machine to stumble over',
    attack: 'plant_links',
    params: secrets,
    ends: NOTHING,
    then: 'follow_links',
  },
  {
    title: 'a link in the place of its folder and its home',
    attack: 'swap_folder',
    params: () => ({ target: '/', may: false }),
    ends: NOTHING,
    only: 'process',
  },
  ...['/', '/nowhere', '/etc/passwd', '/proc/self/fd/7', '/proc/1/root'].map((target) => ({
    title: `a link to ${target} in the place of its folder`,
    attack: 'swap_folder',
    params: () => ({ target, may: true }),
    // Nothing of the function is there any more: that is its own failure, and final.
    ends: { status: 'FAILED' } as const,
    only: 'docker' as const,
  })),
];

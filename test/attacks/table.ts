import { networkInterfaces } from 'node:os';
import type { Lifecycle } from '@panal/protocol';
import { DISK_MB, MAX_OUTPUT, rootDisk, type Arena } from './arena.js';

/** How a call is to end, for all that its function did. */
export interface Ending {
  status?: 'DONE' | 'FAILED' | 'TIMEOUT';
  code?: string;
  /** What the attacker says that it achieved. */
  achieved?: unknown;
}

export interface Attack {
  title: string;
  /** The attacker's function, and what it is told. */
  attack: string;
  params?: (arena: Arena) => Record<string, unknown> | Promise<Record<string, unknown>>;
  settings?: Record<string, string>;
  /** The same for every lifecycle, or for those that differ. */
  ends: Ending;
  hot?: Ending;
  /** What is called next to see that nothing is left, and how that ends; else the function is called as before. */
  then?: { attack: string; ends: Ending };
  /** Where there is such a thing to be attacked. */
  only?: { driver?: 'docker' | 'process'; lifecycles?: readonly Lifecycle[] };
}

export const NOTHING: Ending = { status: 'DONE', achieved: [] };
const TIMEOUT: Ending = { status: 'TIMEOUT', code: 'TIMEOUT' };
const failed = (code: string): Ending => ({ status: 'FAILED', code });

/** In a sandbox with a handler there is nothing that is not the function's; what became of its call is its own affair. */
const ITS_OWN: Ending = {};

/** Attacks that do not end by themselves are given so long. */
const SHORT = { timeoutMs: '3000' };
const SMALL = { memoryMb: '96' };

const ENGINE_SOCKETS = ['/var/run/docker.sock', '/run/docker.sock', '/run/containerd/containerd.sock'];
/** Where clouds hand out the credentials of a machine. */
export const METADATA = '169.254.169.254';

/** The ports of the broker at every address of this machine, and the metadata service. */
export function addresses({ panal }: Arena): string[] {
  const first = Number(new URL(panal.url).port);
  const machine = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const hosts = machine.filter(({ family }) => family === 'IPv4').map(({ address }) => address);
  return [`${METADATA}:80`, ...hosts.flatMap((host) => [0, 1, 2, 3].map((n) => `${host}:${first + n}`))];
}

/** What an attacker looks for. */
export const secrets = ({ secret, secretFile, canary }: Arena): Record<string, unknown> => ({
  ...{ secret, file: secretFile, paths: [canary], walk: '/', sockets: ENGINE_SOCKETS },
});

/** What it would leave on the machine. */
export const plants = async ({ folder, secret }: Arena): Promise<Record<string, unknown>> => ({
  plant: [folder, '/usr/bin', '/etc', '/', '/run', '..', '../..'],
  name: `planted-${secret}`,
  disk: await rootDisk(),
});

export const ATTACKS: readonly Attack[] = [
  {
    title: 'a fork bomb',
    attack: 'fork_bomb',
    settings: { ...SHORT, pids: '40' },
    ends: TIMEOUT,
  },
  { title: 'a memory bomb', attack: 'memory_bomb', settings: SMALL, ends: failed('OUT_OF_MEMORY') },
  {
    title: 'files in memory',
    attack: 'fill_memory_files',
    params: () => ({ past: 96 }),
    settings: SMALL,
    ends: failed('OUT_OF_MEMORY'),
  },
  {
    title: 'filling the disk from its own folder',
    attack: 'fill_disk',
    params: () => ({ folder: '.' }),
    ends: failed('OUT_OF_DISK'),
  },
  {
    title: 'filling the disk from elsewhere',
    attack: 'fill_disk',
    params: () => ({ folder: '/var/tmp' }),
    ends: failed('OUT_OF_DISK'),
    only: { driver: 'docker' },
  },
  {
    title: 'a huge file',
    attack: 'huge_file',
    params: () => ({ past: DISK_MB + 1 }),
    ends: NOTHING,
    only: { driver: 'docker' },
  },
  {
    title: 'a flood of output without a line end',
    attack: 'flood_stdout',
    settings: SHORT,
    ends: failed('OUTPUT_TOO_LARGE'),
    // What a handler prints is logs.
    hot: TIMEOUT,
  },
  { title: 'a flood of logs without a line end', attack: 'flood_stderr', settings: SHORT, ends: TIMEOUT },
  {
    title: 'a result that is too large',
    attack: 'flood_result',
    params: () => ({ bytes: MAX_OUTPUT + 1 }),
    ends: failed('OUTPUT_TOO_LARGE'),
  },
  {
    title: "reading another function's files, parameters and environment, and the machine's",
    attack: 'read_files',
    params: secrets,
    ends: NOTHING,
  },
  {
    title: 'reaching the metadata address and the broker',
    attack: 'reach',
    params: (arena) => ({ addresses: addresses(arena) }),
    settings: { timeoutMs: '60000' },
    ends: NOTHING,
  },
  {
    title: 'writing outside of its folder',
    attack: 'write_outside',
    params: plants,
    ends: NOTHING,
  },
  { title: 'tracing the agent', attack: 'trace', ends: NOTHING, hot: ITS_OWN },
  { title: 'signals to the agent', attack: 'send_signals', ends: NOTHING, hot: ITS_OWN },
  {
    title: 'forging the frames of another call',
    attack: 'forge_frames',
    ends: NOTHING,
    // A handler owns its process: it can say what it likes of its own call, and of no other.
    hot: { status: 'DONE', achieved: 'forged' },
  },
  {
    title: 'a process that outlives its call',
    attack: 'linger',
    params: ({ secret }) => ({ mark: secret, pace: 0.01 }),
    ends: NOTHING,
    then: { attack: 'lingering', ends: NOTHING },
    only: { lifecycles: ['fresh', 'warm'] },
  },
  {
    title: 'a process that outlives its call, where it may',
    attack: 'linger',
    params: ({ secret }) => ({ mark: secret, pace: 600 }),
    // It ends with its sandbox, and none is left on the machine.
    ends: NOTHING,
    only: { lifecycles: ['hot'] },
  },
];

import type { SandboxSettings } from '@panal/protocol';
import { bubblewrapOptions, staged, type Bind, type Link, type Masks, type Wrapping } from './bubblewrap.js';
import type { Cgroup } from './cgroups.js';
import { baseEnvironment, type Places } from './environment.js';
import { Launched, type Command } from './launched.js';
import { nameBinds, type NameFiles } from './names.js';
import type { Programs } from './programs.js';

const MiB = 1024 * 1024;
/** What a process fills besides its heap: stacks of threads, mostly. */
const DATA_OVERHEAD_MB = 64;
/** Sets what files are made with, enters control groups, given up to `--`, and becomes the command after it. */
const ENTER = 'umask 022; while [ "$1" != -- ]; do echo 0 >"$1" || exit 125; shift; done; shift; exec "$@"';

/** What this machine has to start sandboxes with. */
export interface Machine {
  programs: Programs;
  /** Whether bubblewrap works here. */
  bubblewrap: boolean;
  /** The filter of system calls; undefined where none can be set. */
  seccomp: Uint8Array | undefined;
  /** What of `/proc` is covered. */
  masks: Masks;
  names: NameFiles;
  /** Whether functions run as users of their owners'. */
  users: boolean;
  /** Whether `prlimit` (util-linux) is here. */
  prlimit: boolean;
}

/** Folders of the machine that make up a sandbox. */
export interface Folders {
  code: string;
  home: string;
  tmp: string;
}

/** One process to start in a sandbox. */
export interface Launch {
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  folders: Folders;
  /** Where the code is seen, under bubblewrap. */
  codePath: string;
  /** What else is seen under bubblewrap. */
  binds: readonly Bind[];
  links?: readonly Link[];
  network: boolean;
  /** Whether `argv` reaps, and may be PID 1. */
  init: boolean;
  settings: Pick<SandboxSettings, 'memoryMb'>;
  cgroup: Cgroup | undefined;
  /** The user it runs as, under bubblewrap; else the worker's own. */
  uid: number | undefined;
  stdin: 'pipe' | 'ignore';
}

/** Processes that are not the function's, besides those of every sandbox: the bubblewrap that root runs. */
export const wrapperPids = (uid: number | undefined): number => (uid === undefined ? 0 : 1);

/** Home of the function under bubblewrap: the same when dependencies are installed and when it runs. */
const HOME = '/home/function';

/** Where a process finds its folders: under bubblewrap at fixed places, else where they are. */
export function placesOf(machine: Machine, folders: Folders, codePath: string): Places {
  return machine.bubblewrap ? { code: codePath, home: HOME, tmp: '/tmp' } : { ...folders };
}

/** Starts a process with what `machine` has: in its control group, with its limits, under bubblewrap. */
export function launch(machine: Machine, what: Launch): Launched {
  return Launched.start(commandOf(machine, what), what.stdin);
}

function commandOf(machine: Machine, what: Launch): Command {
  const places = placesOf(machine, what.folders, what.codePath);
  const env = { ...baseEnvironment(machine.programs.path, places), ...what.env };
  const argv = [...entering(what.cgroup), ...limiting(machine, what)];
  if (!machine.bubblewrap) return command([...argv, ...what.argv], env, what.folders.code);
  const { seccomp } = machine;
  const filter = seccomp === undefined ? [] : ['--seccomp', '4'];
  const inputs = seccomp === undefined ? [] : [seccomp];
  const wrapping: Wrapping = {
    binds: [
      ...machine.programs.places.map((place) => ({ from: place, to: place })),
      ...nameBinds(machine.names, what.network),
      ...what.binds,
    ],
    links: [...machine.programs.links, ...(what.links ?? [])],
    code: { from: what.folders.code, to: places.code, writable: true },
    masks: machine.masks,
    tmpfs: ['/tmp', HOME],
    tmpfsBytes: what.settings.memoryMb * MiB,
    network: what.network,
    init: what.init,
    env,
    cwd: places.code,
  };
  const outside = { PATH: machine.programs.path };
  const wrapped = ['bwrap', '--args', '3', ...filter, '--', ...what.argv];
  if (what.uid === undefined) {
    const options = bubblewrapOptions(wrapping);
    return {
      ...command([...argv, ...wrapped], outside, '/'),
      inputs: [argsOf(options), ...inputs],
      wrappers: 1,
    };
  }
  const stage = staged({ ...wrapping, passwd: 4 + inputs.length });
  const options = ['--unshare-user', ...bubblewrapOptions(stage.wrapping)];
  return {
    ...command([...argv, 'bwrap', ...stage.options, '--', ...becoming(what.uid), ...wrapped], outside, '/'),
    inputs: [argsOf(options), ...inputs, passwdOf(what.uid)],
    wrappers: 2,
  };
}

const argsOf = (options: readonly string[]): string => options.map((option) => `${option}\0`).join('');

/** Gives up root for good, before anything of the function's is read. */
function becoming(uid: number): string[] {
  const nothingElse = ['--clear-groups', '--inh-caps=-all', '--bounding-set=-all'];
  return ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, ...nothingElse, '--'];
}

const passwdOf = (uid: number): string =>
  `root:x:0:0:root:/root:/usr/sbin/nologin
function:x:${uid}:${uid}::${HOME}:/bin/sh
nobody:x:65534:65534:nobody:/:/usr/sbin/nologin
`;

function command(argv: readonly string[], env: Readonly<Record<string, string>>, cwd: string): Command {
  const [program, ...args] = argv;
  if (program === undefined) throw new TypeError('a launch without a command');
  return { argv: [program, ...args], env, cwd, inputs: [], wrappers: 0 };
}

function entering(cgroup: Cgroup | undefined): string[] {
  return ['/bin/sh', '-c', ENTER, 'sh', ...(cgroup?.entrances ?? []), '--'];
}

function limiting(machine: Machine, { settings, cgroup }: Launch): string[] {
  if (!machine.prlimit) return [];
  const data = (settings.memoryMb + DATA_OVERHEAD_MB) * MiB;
  return ['prlimit', '--core=0', ...(cgroup === undefined ? [`--data=${data}`] : []), '--'];
}

/** Ends well if each of the files can be read. */
const READS = 'for file do [ ! -e "$file" ] || [ -r "$file" ] || exit 1; done';

/** Whether a process starts in `folder` with what `machine` has, as the user `uid`, and can read what it is to. */
export async function starts(
  machine: Machine,
  folder: string,
  { uid, read }: { uid: number | undefined; read: readonly Bind[] },
): Promise<boolean> {
  const launched = launch(machine, {
    argv: ['/bin/sh', '-c', READS, 'sh', ...[...machine.programs.places, ...read.map(({ to }) => to)]],
    env: {},
    folders: { code: folder, home: folder, tmp: folder },
    codePath: '/ws',
    binds: read,
    network: false,
    init: false,
    settings: { memoryMb: 64 },
    cgroup: undefined,
    uid: machine.users ? uid : undefined,
    stdin: 'ignore',
  });
  launched.onOutput(() => undefined);
  return await launched.exit.then(
    ({ code }) => code === 0,
    () => false,
  );
}

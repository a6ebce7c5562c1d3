import { chmod, rm, stat, writeFile } from 'node:fs/promises';
import { posix } from 'node:path';

/** How a folder or file of the machine is seen inside. */
export interface Bind {
  from: string;
  to: string;
  writable?: boolean;
}

/** Files and folders of `/proc` that are covered, and an empty file to cover them with. */
export interface Masks {
  files: readonly string[];
  folders: readonly string[];
  empty: string;
}

/** A symbolic link that is made inside. Its target is text: nobody resolves it outside. */
export interface Link {
  at: string;
  target: string;
}

/**
 * A process under bubblewrap: what it sees, and what it may. Bubblewrap resolves both ends of a bind on the machine,
 * so no `from` may pass through what a function could write, and no `to` through what it left.
 */
export interface Wrapping {
  masks: Masks;
  binds: readonly Bind[];
  links: readonly Link[];
  /** The folder with the code; bound last, for its place is the runtime's choice. */
  code: Bind;
  /** Empty writable folders in memory, each of at most `tmpfsBytes`. */
  tmpfs: readonly string[];
  tmpfsBytes: number;
  /** Whether it shares the machine's network; else it has a loopback interface of its own, and nothing else. */
  network: boolean;
  /** Whether the command is PID 1 of its namespace; else bubblewrap is, and reaps. */
  init: boolean;
  env: Readonly<Record<string, string>>;
  cwd: string;
  /** Descriptor with the content of its `/etc/passwd`; without one it sees the machine's. */
  passwd?: number;
}

/** The system's own folders. `/bin` and its like are links into `/usr` on most machines, and bound as what they are. */
const SYSTEM = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64'];

/** The folder of the system in which `path` lies, where a sandbox has nothing of its own; `undefined` if in none. */
export const systemFolderOf = (path: string): string | undefined =>
  SYSTEM.find((folder) => `${posix.normalize(path)}/`.startsWith(`${folder}/`));

/** What programs need of `/etc`: libraries, certificates, names, time. Nothing that only root may read. */
const ETC = [
  'alternatives',
  'ca-certificates',
  'ca-certificates.conf',
  'group',
  'host.conf',
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'localtime',
  'mime.types',
  'passwd',
  'pki/ca-trust',
  'pki/tls/certs',
  'protocols',
  'services',
  'ssl/cert.pem',
  'ssl/certs',
  'ssl/openssl.cnf',
  'timezone',
];

/**
 * What of `/proc` changes the machine, and belongs to root: who runs the worker as root runs functions as root, without
 * capabilities, and the kernel asks for none there. Bubblewrap itself leaves `/proc/sys` as it is when root starts it.
 */
const SWITCHES = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'].map((name) => `/proc/${name}`);

/** What container engines mask of `/proc`: it tells of the machine, or of others on it. No sandbox has a `/sys`. */
const MASKED = [
  ...['acpi', 'asound', 'interrupts', 'kcore', 'keys', 'latency_stats', 'sched_debug', 'scsi'],
  ...['timer_list', 'timer_stats'],
].map((name) => `/proc/${name}`);

/** What of it there is on this machine. @param empty path of a file that is made */
export async function findMasks(empty: string): Promise<Masks> {
  await rm(empty, { force: true });
  await writeFile(empty, '');
  await chmod(empty, 0o444);
  const files: string[] = [];
  const folders: string[] = [];
  for (const path of MASKED) {
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined) (found.isDirectory() ? folders : files).push(path);
  }
  return { files, folders, empty };
}

/** Options that every sandbox starts with. */
const ISOLATION: readonly string[] = [
  ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try', '--hostname', 'sandbox'],
  ...['--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--clearenv'],
  ...SYSTEM.flatMap((path) => ['--ro-bind-try', path, path]),
  ...ETC.flatMap((name) => ['--ro-bind-try', `/etc/${name}`, `/etc/${name}`]),
  ...['--proc', '/proc', '--dev', '/dev'],
  ...SWITCHES.flatMap((path) => ['--ro-bind-try', path, path]),
];

/**
 * The options of bubblewrap for `wrapping`, to be handed over with `--args`: an environment has no place on a command
 * line that others can read, nor in bubblewrap's own environment, where `LD_PRELOAD` would take effect outside.
 */
export function bubblewrapOptions(wrapping: Wrapping): string[] {
  const options = [...ISOLATION];
  const { files, folders, empty } = wrapping.masks;
  for (const path of files) options.push('--ro-bind', empty, path);
  for (const path of folders) options.push('--tmpfs', path, '--remount-ro', path);
  if (!wrapping.network) options.push('--unshare-net');
  if (wrapping.init) options.push('--as-pid-1');
  for (const folder of wrapping.tmpfs) {
    options.push('--size', String(wrapping.tmpfsBytes), '--tmpfs', folder);
  }
  for (const bind of wrapping.binds) options.push(...binding(bind));
  for (const { at, target } of wrapping.links) options.push('--symlink', target, at);
  if (wrapping.passwd !== undefined) {
    options.push('--perms', '0444', '--ro-bind-data', String(wrapping.passwd), '/etc/passwd');
  }
  // Last: a link in it may be where something else would be bound.
  options.push(...binding(wrapping.code));
  for (const [name, value] of Object.entries(wrapping.env)) options.push('--setenv', name, value);
  options.push('--remount-ro', '/', '--chdir', posix.normalize(wrapping.cwd));
  return options;
}

/** Where a sandbox of an unprivileged user finds what is bound into it. */
const STAGE = '/stage';
/** Where bubblewrap itself makes its new root. */
const OWN_TMP = '/tmp';

/**
 * `wrapping` for a user who may not reach the folders of the worker, and the options of another bubblewrap, which root
 * runs: in mounts of its own it binds them where that user can, and shows him nothing else.
 */
export function staged(wrapping: Wrapping): { options: string[]; wrapping: Wrapping } {
  const options = [
    ...SYSTEM.flatMap((path) => ['--ro-bind-try', path, path]),
    ...['--ro-bind', '/etc', '/etc', '--dir', STAGE, '--dir', OWN_TMP],
    ...['--dev-bind', '/dev', '/dev', '--dev-bind', '/proc', '/proc', '--die-with-parent'],
  ];
  const stage = (bind: Bind, name: string): Bind => {
    const from = `${STAGE}/${name}`;
    options.push(...binding({ ...bind, to: from }));
    return { ...bind, from };
  };
  const { masks } = wrapping;
  return {
    wrapping: {
      ...wrapping,
      binds: wrapping.binds.map((bind, index) => stage(bind, String(index))),
      code: stage(wrapping.code, 'code'),
      masks: { ...masks, empty: stage({ from: masks.empty, to: '' }, 'empty').from },
    },
    options,
  };
}

function binding({ from, to, writable }: Bind): string[] {
  // A path with `..` would be made outside of the new root.
  return [writable === true ? '--bind' : '--ro-bind-try', from, posix.normalize(to)];
}

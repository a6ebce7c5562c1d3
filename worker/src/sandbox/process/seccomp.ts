/** A system call's number on x86_64 and on arm64; `undefined` if the processor has no such call. */
type Numbers = readonly [x64: number | undefined, arm64: number | undefined];

/**
 * System calls that are refused: what the default profile of container engines (moby's `seccomp/default.json`) leaves
 * out for a container without capabilities. From 424 on the numbers are the same everywhere.
 */
const REFUSED: Readonly<Record<string, Numbers>> = {
  acct: [163, 89],
  add_key: [248, 217],
  bpf: [321, 280],
  chroot: [161, 51],
  clock_adjtime: [305, 266],
  clock_settime: [227, 112],
  create_module: [174, undefined],
  delete_module: [176, 106],
  fanotify_init: [300, 262],
  finit_module: [313, 273],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fsopen: [430, 430],
  fspick: [433, 433],
  get_kernel_syms: [177, undefined],
  get_mempolicy: [239, 236],
  init_module: [175, 105],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  io_uring_setup: [425, 425],
  ioperm: [173, undefined],
  iopl: [172, undefined],
  kexec_file_load: [320, 294],
  kexec_load: [246, 104],
  keyctl: [250, 219],
  listmount: [458, 458],
  lookup_dcookie: [212, 18],
  lsm_get_self_attr: [459, 459],
  lsm_list_modules: [461, 461],
  lsm_set_self_attr: [460, 460],
  mbind: [237, 235],
  migrate_pages: [256, 238],
  mount: [165, 40],
  mount_setattr: [442, 442],
  move_mount: [429, 429],
  move_pages: [279, 239],
  name_to_handle_at: [303, 264],
  nfsservctl: [180, 42],
  open_by_handle_at: [304, 265],
  open_tree: [428, 428],
  perf_event_open: [298, 241],
  pivot_root: [155, 41],
  query_module: [178, undefined],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  reboot: [169, 142],
  request_key: [249, 218],
  set_mempolicy: [238, 237],
  set_mempolicy_home_node: [450, 450],
  setdomainname: [171, 162],
  sethostname: [170, 161],
  setns: [308, 268],
  settimeofday: [164, 170],
  statmount: [457, 457],
  swapoff: [168, 225],
  swapon: [167, 224],
  sysctl: [156, undefined],
  sysfs: [139, undefined],
  syslog: [103, 116],
  umount2: [166, 39],
  unshare: [272, 97],
  uselib: [134, undefined],
  userfaultfd: [323, 282],
  ustat: [136, undefined],
  vhangup: [153, 58],
};
/** The last system call that was looked at (`mseal`, Linux 6.10). Later ones do not exist for a function. */
const NEWEST = 462;

/** Allowed, or not, by their first argument. */
const CLONE: Numbers = [56, 220];
const CLONE3: Numbers = [435, 435];
const PERSONALITY: Numbers = [135, 92];
const SOCKET: Numbers = [41, 198];

/** `CLONE_NEW…`: namespaces. */
const NAMESPACES = 0x7e020000;
/** Linux, Linux without address randomisation and the like, and the question which it is. */
const PERSONALITIES = [0, 8, 0x20000, 0x20008, 0xffffffff];
const AF_VSOCK = 40;

const EPERM = 1;
const ENOSYS = 38;
const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const errno = (code: number): number => 0x00050000 | code;

/** Of `struct seccomp_data`. */
const AT = { number: 0, architecture: 4, firstArgument: 16 } as const;

/** Classic BPF (`linux/filter.h`). */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];
const load = (offset: number): Instruction => [0x20, 0, 0, offset];
const answer = (what: number): Instruction => [0x06, 0, 0, what];
const unlessEqual = (value: number, skip: number): Instruction => [0x15, 0, skip, value];
const unlessAbove = (value: number, skip: number): Instruction => [0x25, 0, skip, value];
const unlessAnyOf = (bits: number, skip: number): Instruction => [0x45, 0, skip, bits];

const ARCHITECTURES: Readonly<Record<string, { column: 0 | 1; audit: number }>> = {
  x64: { column: 0, audit: 0xc000003e },
  arm64: { column: 1, audit: 0xc00000b7 },
};

/**
 * The filter for `architecture`, as `process.arch` names it, in the form that the kernel takes it (`seccomp(2)`);
 * undefined where none is known. Calls of other architectures end the process. Those of x32 have numbers above all
 * others, and do not exist.
 */
export function seccompFilter(architecture: string): Buffer | undefined {
  const known = ARCHITECTURES[architecture];
  if (known === undefined) return undefined;
  const { column, audit } = known;
  const onCall = (numbers: Numbers, then: readonly Instruction[]): Instruction[] => {
    const number = numbers[column];
    return number === undefined ? [] : [unlessEqual(number, then.length), ...then];
  };
  return assembled([
    load(AT.architecture),
    [0x15, 1, 0, audit],
    answer(KILL_PROCESS),
    load(AT.number),
    unlessAbove(NEWEST, 1),
    answer(errno(ENOSYS)),
    ...Object.values(REFUSED).flatMap((numbers) => onCall(numbers, [answer(errno(EPERM))])),
    // The C library then uses clone, whose flags can be seen.
    ...onCall(CLONE3, [answer(errno(ENOSYS))]),
    ...onCall(CLONE, [
      load(AT.firstArgument),
      unlessAnyOf(NAMESPACES, 1),
      answer(errno(EPERM)),
      answer(ALLOW),
    ]),
    ...onCall(PERSONALITY, [
      load(AT.firstArgument),
      ...PERSONALITIES.flatMap((value) => [unlessEqual(value, 1), answer(ALLOW)]),
      answer(errno(EPERM)),
    ]),
    ...onCall(SOCKET, [
      load(AT.firstArgument),
      unlessEqual(AF_VSOCK, 1),
      answer(errno(EPERM)),
      answer(ALLOW),
    ]),
    answer(ALLOW),
  ]);
}

function assembled(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, ifTrue, ifFalse, value], index) => {
    const at = index * 8;
    bytes.writeUInt16LE(code, at);
    bytes.writeUInt8(ifTrue, at + 2);
    bytes.writeUInt8(ifFalse, at + 3);
    bytes.writeUInt32LE(value, at + 4);
  });
  return bytes;
}

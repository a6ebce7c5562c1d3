import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import {
  BadValue,
  ConfigError,
  hostPattern,
  integer,
  networkRange,
  oneOf,
  optional,
  optionalInteger,
  setting,
  text,
  uidRange,
  type NetworkRange,
  type Setting,
  type UidRange,
} from './setting.js';
import { withFiles } from './setting-files.js';

export { ConfigError, type NetworkRange, type Reader, type Setting, type UidRange } from './setting.js';

const MiB = 1024 * 1024;
const zmqAddress = /^tcp:\/\/(\*|\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/;
// Z85 (ZeroMQ RFC 32): 40 characters stand for the 32 bytes of a CURVE key.
const z85Key = /^[0-9A-Za-z.\-:+=^!/*?&<>()[\]{}@%$#]{40}$/;

/** Every setting of Panal, in the order in which the README lists them. */
export const SETTINGS = {
  PORT: integer(['broker', 'HTTP port; `0` takes a free one'], 3000, 0, 65_535),
  HOST: text(['broker', 'HTTP address'], '127.0.0.1', /^[0-9A-Za-z.:-]+$/, 'a host name or address'),
  ZMQ_BIND_ADDRESS: text(
    ['broker', 'dispatch channel; the reply and bundle channels take the next two ports'],
    'tcp://127.0.0.1:2000',
    zmqAddress,
    'of the form tcp://HOST:PORT',
  ),
  ZMQ_CONN_ADDRESS: text(
    ['worker', "the broker's dispatch channel"],
    'tcp://127.0.0.1:2000',
    zmqAddress,
    'of the form tcp://HOST:PORT',
  ),
  FAAS_DATA_DIR: setting(
    ['both', 'all state; nothing is written elsewhere, but container images'],
    '.panal/',
    () => resolve('.panal'),
    (path) => resolve(path),
  ),
  FAAS_SLOTS: setting(
    ['worker', 'mini-workers: calls that run at once in this worker'],
    'twice the cores',
    () => 2 * availableParallelism(),
    (value) => integer(['worker', ''], 1, 1, 4096).parse(value),
  ),
  FAAS_PRELOAD: oneOf(
    ['worker', 'what is started ahead of calls: `none`, `runtime`, `function`'],
    ['none', 'runtime', 'function'],
    'runtime',
  ),
  FAAS_SANDBOX: oneOf(
    ['worker', '`docker`, `process`, or `auto`: docker where an engine answers, else process'],
    ['auto', 'docker', 'process'],
    'auto',
  ),
  FAAS_AUTH: oneOf(
    ['broker', '`open`: without credentials one acts as `public`; `required`: 401 without them'],
    ['open', 'required'],
    'open',
  ),
  FAAS_JWT_SECRET: optional(
    ['broker', 'signs tokens; without it one is made at the first start, and kept in `FAAS_DATA_DIR`'],
    /^[^\0]{32,}$/,
    'at least 32 characters',
  ),
  FAAS_TOKEN_TTL_S: integer(['broker', 'how long a token is valid, in seconds'], 86_400, 1, 31_536_000),
  FAAS_TRUSTED_PROXIES: setting<readonly NetworkRange[]>(
    ['broker', 'addresses and networks (`10.0.0.0/8`), apart by commas, whose `X-Forwarded-For` is believed'],
    '',
    () => [],
    (value) => value.split(',').map((part) => networkRange(part.trim())),
  ),
  FAAS_REGISTRATIONS: integer(
    ['broker', 'users that one address may register within an hour; past it 429'],
    100,
    1,
    1_000_000_000,
  ),
  FAAS_OPERATOR_TOKEN: optional(
    ['broker', 'whoever shows it as `Bearer` may take backups; without it nobody may'],
    /^[A-Za-z0-9._~+/-]{32,}=*$/,
    'at least 32 letters, digits or any of ._~+/-',
  ),
  FAAS_METRICS_ADDRESS: optional(
    ['worker', 'where a worker serves `GET /metrics`, as HOST:PORT; without it, nowhere'],
    /^(\[[0-9A-Fa-f:]+\]|[0-9A-Za-z.-]+):\d{1,5}$/,
    'of the form HOST:PORT',
  ),
  FAAS_ACTIVATE_TIMEOUT_MS: integer(
    ['broker', 'how long `POST /functions/activate` waits for its call'],
    40_000,
    1,
    3_600_000,
  ),
  FAAS_DURABILITY: oneOf(
    [
      'broker',
      'what is on disk when: `fsync`, `strict` or `os`; [guarantees](docs/guarantees.md#power-loss)',
    ],
    ['fsync', 'strict', 'os'],
    'fsync',
  ),
  FAAS_MAX_BODY: integer(['broker', 'largest request body, in bytes'], MiB, 1024, 256 * MiB),
  FAAS_MAX_BUNDLE: integer(['both', 'largest packed bundle, in bytes'], 64 * MiB, 1024, 4096 * MiB),
  FAAS_MAX_BUNDLE_UNPACKED: integer(
    ['both', 'largest unpacked bundle, in bytes'],
    512 * MiB,
    1024,
    65_536 * MiB,
  ),
  FAAS_MAX_BUNDLE_ENTRIES: integer(['both', 'most entries in a bundle'], 20_000, 1, 1_000_000),
  FAAS_MAX_OUTPUT: integer(['worker', 'largest output of a call, in bytes'], 6 * MiB, 1024, 256 * MiB),
  FAAS_MAX_LOGS: integer(
    ['worker', 'most bytes of logs kept of a call; the rest is cut'],
    64 * 1024,
    0,
    16 * MiB,
  ),
  FAAS_MAX_QUEUE: integer(['broker', 'most calls that have not ended; past it 429'], 200_000, 1, 10_000_000),
  FAAS_USER_CONCURRENCY: integer(['broker', 'most calls of one user that run at once'], 10, 1, 1_000_000),
  FAAS_SPARE_SLOTS: integer(
    ['broker', 'idle mini-workers kept for owners that run no call; `0`: none'],
    1,
    0,
    1_000_000,
  ),
  FAAS_USER_QUEUE: integer(
    ['broker', 'most calls of one user that have not ended; past it 429'],
    10_000,
    1,
    10_000_000,
  ),
  FAAS_DISK_FLOOR_MB: optionalInteger(
    ['broker', 'MiB of disk below which nothing is accepted; the default is at most 256'],
    'a tenth of the disk',
    0,
    1_000_000_000,
  ),
  FAAS_UPLOADS: integer(
    ['broker', 'most uploads at once, one owner half of them; past it 429'],
    32,
    1,
    10_000,
  ),
  FAAS_BODIES_MB: integer(
    ['broker', 'most MiB of request bodies that come in at once, one owner half of them; past it 429'],
    64,
    1,
    1_000_000,
  ),
  FAAS_ANSWERS_MB: integer(
    ['broker', 'most MiB of answers that clients have not taken; past it the longest unread are cut off'],
    256,
    1,
    1_000_000,
  ),
  FAAS_WAITING: integer(
    ['broker', 'most clients that wait for calls or follow logs, one owner half of them; past it 429'],
    10_000,
    1,
    1_000_000,
  ),
  FAAS_QUEUE_MB: integer(
    ['broker', 'most MiB of parameters of calls that have not ended; past it 429'],
    4096,
    1,
    1_000_000_000,
  ),
  FAAS_USER_QUEUE_MB: integer(
    ['broker', 'the same of one owner, `public` being one; past it 429'],
    1024,
    1,
    1_000_000_000,
  ),
  FAAS_PARAMS_MEMORY_MB: integer(
    ['broker', 'most MiB of memory for parameters of waiting calls; the others stay on disk until they run'],
    64,
    1,
    1_000_000,
  ),
  FAAS_USER_FUNCTIONS: integer(['broker', 'most functions that one user stores'], 1000, 1, 10_000_000),
  FAAS_USER_RUNTIMES: integer(
    ['broker', 'most runtimes of one owner, `public` being one'],
    1000,
    1,
    1_000_000,
  ),
  FAAS_USER_VERSIONS: integer(
    ['broker', 'most versions of functions of one owner, `public` being one'],
    10_000,
    1,
    10_000_000,
  ),
  FAAS_USER_BYTES: integer(
    ['broker', 'most bytes of packed bundles that one user stores'],
    1024 * MiB,
    1,
    Number.MAX_SAFE_INTEGER,
  ),
  FAAS_CALLS_KEEP_S: integer(
    ['broker', 'how long a call is kept after it ended, in seconds; `0`: for good'],
    604_800,
    0,
    3_153_600_000,
  ),
  FAAS_CALLS_KEEP: integer(
    ['broker', 'most calls kept of each owner after they ended, the newest; `0`: any number'],
    1_000_000,
    0,
    1_000_000_000,
  ),
  FAAS_CALLS_KEEP_MB: optionalInteger(
    ['broker', 'most MiB of calls kept after they ended, the newest; by default at most 10240; `0`: any'],
    'half of the disk',
    0,
    1_000_000_000,
  ),
  FAAS_USER_CALLS_KEEP_MB: optionalInteger(
    ['broker', 'the same of one owner; the default counts once a user has registered; `0`: any'],
    'half of the total',
    0,
    1_000_000_000,
  ),
  FAAS_TIMEOUT_MS: integer(['broker', "a function's `timeoutMs` where it sets none"], 60_000, 1, 3_600_000),
  FAAS_MEMORY_MB: integer(['broker', "a function's `memoryMb` where it sets none"], 256, 6, 1_048_576),
  FAAS_PIDS: integer(['broker', "a function's `pids` where it sets none"], 128, 4, 65_536),
  FAAS_CPUS: integer(['broker', "a function's `cpus` where it sets none"], 1, 1, 1024),
  FAAS_MAX_TIMEOUT_MS: integer(
    ['broker', 'most `timeoutMs` that a function may set; past it 400'],
    3_600_000,
    1,
    3_600_000,
  ),
  FAAS_MAX_MEMORY_MB: integer(
    ['broker', 'most `memoryMb` that a function may set; past it 400'],
    1_048_576,
    6,
    1_048_576,
  ),
  FAAS_MAX_PIDS: integer(['broker', 'most `pids` that a function may set; past it 400'], 65_536, 4, 65_536),
  FAAS_MAX_CPUS: integer(['broker', 'most `cpus` that a function may set; past it 400'], 1024, 1, 1024),
  FAAS_ATTEMPTS: integer(
    ['broker', 'attempts in all when the platform fails (worker lost, image pull broke)'],
    5,
    1,
    100,
  ),
  FAAS_BACKOFF_MS: integer(
    ['broker', 'wait before the second attempt; twice that before each later one'],
    5000,
    0,
    3_600_000,
  ),
  FAAS_HEARTBEAT_MS: integer(['broker', 'between heartbeats, both ways'], 1000, 10, 60_000),
  FAAS_LEASE_MS: integer(['broker', 'silence after which the other side counts as lost'], 5000, 50, 600_000),
  FAAS_GRACE_MS: integer(
    ['both', 'how long running calls may end when the process stops'],
    10_000,
    0,
    3_600_000,
  ),
  FAAS_PREPARE_TIMEOUT_MS: integer(
    ['worker', 'longest pull or build of an image'],
    600_000,
    1000,
    86_400_000,
  ),
  FAAS_DEPS_TIMEOUT_MS: integer(['worker', 'longest run of `dependencies`'], 600_000, 1000, 86_400_000),
  FAAS_DEPS_MEMORY_MB: integer(
    ['worker', 'memory that a run of `dependencies` may take, in MiB'],
    2048,
    6,
    1_048_576,
  ),
  FAAS_DEPS_CPUS: integer(['worker', 'cores that a run of `dependencies` may use'], 2, 1, 1024),
  FAAS_DEPS_PIDS: integer(['worker', 'processes that a run of `dependencies` may have'], 1024, 4, 65_536),
  FAAS_DEPS_DISK_MB: integer(
    ['worker', 'most that a run of `dependencies` may keep on disk, in MiB'],
    5120,
    1,
    1_048_576,
  ),
  FAAS_DEPS_NETWORK: oneOf(
    ['worker', 'what `dependencies` may reach: `registries` (HTTP, HTTPS), `none`; `bridge`: the engine'],
    ['registries', 'none', 'bridge'],
    'registries',
  ),
  FAAS_DEPS_HOSTS: setting<readonly string[]>(
    ['worker', 'comma-separated hosts (`*.example.org`) for `dependencies`; without it, all public ones'],
    '',
    () => [],
    (value) => value.split(',').map((part) => hostPattern(part.trim())),
  ),
  FAAS_DEPS_NETWORKS: setting<readonly NetworkRange[]>(
    ['worker', 'comma-separated private networks (`10.0.0.0/8`) that `dependencies` may reach, too'],
    '',
    () => [],
    (value) => value.split(',').map((part) => networkRange(part.trim())),
  ),
  FAAS_DEPS_PROXY: optional(
    ['worker', 'HTTP proxy, as http://HOST:PORT, through which `dependencies` reach their registries'],
    /^http:\/\/([^\s/@]+@)?(\[[0-9A-Fa-f:]+\]|[0-9A-Za-z.-]+)(:\d{1,5})?\/?$/,
    'of the form http://[USER:PASSWORD@]HOST[:PORT]',
  ),
  FAAS_REGISTRY: optional(
    ['worker', 'registry through which workers share the images of functions, such as `10.0.0.5:5000/panal`'],
    // To an engine, a first part without a dot or a port is a folder of its default registry, but for `localhost`.
    /^(localhost|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:))(:\d{1,5})?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/,
    'of the form HOST[:PORT][/PATH], with a dot or a port',
  ),
  FAAS_REGISTRY_AUTH: optional(
    ['worker', 'file with credentials of registries, as `docker login` writes it'],
    /^[^\0]+$/,
    'a path',
  ),
  FAAS_CACHE_MB: integer(
    [
      'worker',
      'bundles, code and images of functions kept on disk, in MiB; past it what was used longest ago goes',
    ],
    10_240,
    1,
    1_000_000_000,
  ),
  FAAS_SANDBOXES: optionalInteger(
    ['worker', 'most sandboxes that stand idle, ready for their next call'],
    'twice the slots',
    0,
    100_000,
  ),
  FAAS_SANDBOX_MEMORY_MB: optionalInteger(
    ['worker', 'most memory that idle sandboxes may be entitled to together, in MiB'],
    'half of the machine',
    0,
    1_000_000_000,
  ),
  FAAS_WORKER_MEMORY_MB: optionalInteger(
    ['worker', 'most memory that running calls may be entitled to together, in MiB'],
    '3/4 of the machine',
    6,
    1_000_000_000,
  ),
  FAAS_AGENT: oneOf(
    ['worker', '`auto`: calls go through the agent where it is built; `off`: through the engine, slower'],
    ['auto', 'off'],
    'auto',
  ),
  FAAS_RUNTIME: optional(
    [
      'worker',
      "OCI runtime of sandboxes, by the engine's name for it (gVisor, Kata); without it, the engine's own",
    ],
    /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
    'the name of a runtime',
  ),
  FAAS_DISK_MB: integer(
    ['worker', 'most that a sandbox may keep on disk, in MiB, besides what it was made from'],
    512,
    1,
    1_048_576,
  ),
  FAAS_UIDS: setting<UidRange>(
    ['worker', 'users of the machine that run processes, one for each owner, if the worker is root'],
    '200000-265535',
    () => ({ first: 200_000, last: 265_535 }),
    uidRange,
  ),
  FAAS_WORKERS: integer(['up', 'workers that `panal up` starts'], 1, 0, 64),
  FAAS_LOG_LEVEL: oneOf(
    ['both', 'least level that is logged'],
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    'info',
  ),
  FAAS_CURVE_SERVER_SECRET: optional(
    ['broker', 'secret key of the broker (Z85); with it every channel is encrypted'],
    z85Key,
    'a Z85 key of 40 characters',
  ),
  FAAS_CURVE_SERVER_PUBLIC: optional(
    ['both', 'public key of the broker (Z85)'],
    z85Key,
    'a Z85 key of 40 characters',
  ),
  FAAS_CURVE_CLIENT_SECRET: optional(
    ['worker', 'secret key of the worker (Z85)'],
    z85Key,
    'a Z85 key of 40 characters',
  ),
  FAAS_CURVE_CLIENT_PUBLIC: optional(
    ['both', 'public key of the worker (Z85); a broker with it lets in no other'],
    z85Key,
    'a Z85 key of 40 characters',
  ),
  FAAS_REQUIRE_DOCKER: oneOf(['test', '`1`: a container test that cannot run fails'], ['0', '1'], '0'),
} satisfies Record<string, Setting<unknown>>;

type Values = { [K in keyof typeof SETTINGS]: ReturnType<(typeof SETTINGS)[K]['parse']> };

/** All settings with their values. */
export type Config = Readonly<Values>;

/**
 * Reads every setting from the environment, or from the file that `NAME_FILE` names.
 * @throws ConfigError on an ill-formed value, a file that cannot be read, or a `FAAS_…` variable that does not exist (a
 * misspelt setting would otherwise be ignored in silence).
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const env = withFiles(environment, (name) => Object.hasOwn(SETTINGS, name));
  for (const name of Object.keys(env)) {
    if (name.startsWith('FAAS_') && !Object.hasOwn(SETTINGS, name)) {
      throw new ConfigError(`${name} is not a setting of Panal`);
    }
  }
  const values = Object.entries(SETTINGS).map(([name, { parse }]) => {
    try {
      return [name, parse(env[name])];
    } catch (error) {
      if (!(error instanceof BadValue)) throw error;
      // A secret that is ill-formed is a secret still, and what a file has may be one.
      const hidden = /_(SECRET|TOKEN)$/.test(name) || env[name] !== environment[name];
      const given = hidden ? '' : `, not ${JSON.stringify(env[name])}`;
      throw new ConfigError(`${name} ${error.message}${given}`);
    }
  });
  return Object.fromEntries(values) as Config;
}

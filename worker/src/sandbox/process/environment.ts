import { join } from 'node:path';

/** Where a process finds things, as it sees them itself. */
export interface Places {
  /** The unpacked bundle: its working directory. */
  code: string;
  home: string;
  tmp: string;
}

type Environment = Record<string, string>;
type HostEnvironment = Readonly<Record<string, string | undefined>>;

/** The environment of every process in a sandbox: nothing of the worker's own is in it. */
export function baseEnvironment(path: string, places: Places): Environment {
  return {
    PATH: `${join(places.home, '.local', 'bin')}:${path}`,
    HOME: places.home,
    // As a shell would set it.
    PWD: places.code,
    LANG: 'C.UTF-8',
    TMPDIR: places.tmp,
    PYTHONUSERBASE: join(places.home, '.local'),
  };
}

/** Variables of the worker that name files with certificates. */
const CERTIFICATES = [
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'NODE_EXTRA_CA_CERTS',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'PIP_CERT',
  'NPM_CONFIG_CAFILE',
];
/** Variables of the worker that say how the network and the package registries are reached. */
const NETWORK =
  /^(https?_proxy|no_proxy|all_proxy|PIP_[A-Z_]+|npm_config_(registry|proxy|https_proxy|noproxy))$/i;

/**
 * What `dependencies` gets besides: where packages go, and how this machine reaches its registries. Who gives the
 * worker a registry's credentials in `PIP_…` gives them to every function's `dependencies`, which are code.
 */
export function buildEnvironment(host: HostEnvironment, places: Places): Environment {
  const passed = Object.entries(host).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && (CERTIFICATES.includes(entry[0]) || NETWORK.test(entry[0])),
  );
  return {
    ...Object.fromEntries(passed),
    PIP_USER: '1',
    PIP_BREAK_SYSTEM_PACKAGES: '1',
    PIP_NO_CACHE_DIR: '1',
    npm_config_cache: join(places.tmp, 'npm'),
    npm_config_update_notifier: 'false',
  };
}

/** Files and folders with certificates that the worker's environment names. */
export function certificatePaths(host: HostEnvironment): string[] {
  return CERTIFICATES.map((name) => host[name]).filter((path) => path?.startsWith('/')) as string[];
}

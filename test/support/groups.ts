import { execFileSync } from 'node:child_process';
import { request } from 'node:http';

/** Where the container engine listens. */
export const ENGINE_SOCKET =
  (process.env.DOCKER_HOST ?? '').replace(/^unix:\/\//, '') || '/var/run/docker.sock';

/** Whether a container engine answers there. */
async function engineAnswers(): Promise<boolean> {
  return await new Promise((resolve) => {
    const ping = request({ socketPath: ENGINE_SOCKET, path: '/_ping', timeout: 5000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.on('timeout', () => ping.destroy());
    ping.on('error', () => resolve(false));
    ping.end();
  });
}

function commandWorks(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** `describe`, or where the machine lacks what the group needs, a left-out group that says so in its title. */
export function group(
  available: boolean,
  lacking: string,
): (title: string, body: (this: Mocha.Suite) => void) => void {
  if (available) return describe;
  return (title, body) => describe.skip(`${title} (left out: ${lacking})`, body);
}

/** A group that may not be left out with `FAAS_REQUIRE_DOCKER=1`. */
function containerGroup(available: boolean, lacking: string): ReturnType<typeof group> {
  if (!available && process.env.FAAS_REQUIRE_DOCKER === '1') {
    throw new Error(`FAAS_REQUIRE_DOCKER=1, but ${lacking}`);
  }
  return group(available, lacking);
}

const engine = await engineAnswers();

/** Groups of tests that need a container engine. */
export const withEngine = containerGroup(engine, 'no container engine answers');
/** Groups of tests that need bubblewrap. */
export const withBubblewrap = group(
  commandWorks('bwrap', '--ro-bind', '/', '/', 'true'),
  'bubblewrap is not installed or not allowed',
);
/** Groups of tests that need a C compiler. */
export const withCompiler = group(commandWorks('cc', '--version'), 'no C compiler is installed');
/** Groups of tests that need nginx. */
export const withNginx = group(commandWorks('nginx', '-v'), 'nginx is not installed');
/** Groups of tests that need a terminal of their own. */
export const withTerminal = group(
  commandWorks('script', '--quiet', '--command', 'true', '/dev/null'),
  'script of util-linux is not installed',
);
/** Groups of tests that need Prometheus's tool for its files. */
export const withPromtool = group(commandWorks('promtool', '--version'), 'promtool is not installed');
/** Groups of tests that need docker-compose, and an engine. */
export const withCompose = containerGroup(
  engine && commandWorks('docker-compose', 'version'),
  'no container engine answers, or docker-compose is not installed',
);
/** Groups of tests that need docker-compose, an engine, and Prometheus. */
export const withPrometheus = group(
  engine && commandWorks('docker-compose', 'version') && commandWorks('prometheus', '--version'),
  'no container engine answers, or docker-compose or prometheus is not installed',
);
/** Groups of tests that need docker-compose, and an engine that has an image already: none is pulled. */
export const withImage = (image: string): ReturnType<typeof group> =>
  group(
    engine && commandWorks('docker-compose', 'version') && commandWorks('docker', 'image', 'inspect', image),
    `docker-compose is not installed, or the engine has no image ${image}`,
  );
/** Groups of tests that need an engine, docker-compose, a registry's command, and leave to start another engine. */
export const withRegistry = containerGroup(
  engine &&
    commandWorks('docker-compose', 'version') &&
    process.getuid?.() === 0 &&
    commandWorks('docker-registry', '--version') &&
    commandWorks('dockerd', '-v'),
  'no container engine answers, docker-compose, docker-registry or dockerd is not installed, or not run as root',
);

/** Groups of tests that need an engine, and leave to start another one. */
export const withSecondEngine = containerGroup(
  engine && process.getuid?.() === 0 && commandWorks('dockerd', '-v'),
  'no container engine answers, dockerd is not installed, or not run as root',
);

const hosts =
  commandWorks('unshare', '--net', 'ip', 'link', 'add', 'type', 'bridge') && commandWorks('nsenter', '-V');
/** Groups of tests that need hosts of their own, which are network namespaces. */
export const withHosts = group(hosts, 'not run as root, or ip or nsenter is not installed');
/** Groups of tests that need such hosts with an engine each, and a registry. */
export const withHostsOfEngines = containerGroup(
  hosts && engine && commandWorks('docker-registry', '--version') && commandWorks('dockerd', '-v'),
  'no container engine answers, docker-registry, dockerd, ip or nsenter is not installed, or not run as root',
);

/** Groups of tests that need a host of their own with an engine, and a firewall. */
export const withHostAndFirewall = containerGroup(
  hosts && engine && commandWorks('dockerd', '-v') && commandWorks('iptables', '-S'),
  'no container engine answers, dockerd, iptables, ip or nsenter is not installed, or not run as root',
);

/** Groups of tests that open so many files or sockets in one process. */
export const withDescriptorLimit = (limit: number): ReturnType<typeof group> =>
  group(
    commandWorks('sh', '-c', `ulimit -n ${limit}`),
    `the limit of open files is below ${limit}, and not to be raised`,
  );

/** Groups of tests that need mounts of their own. */
export const withOwnMounts = group(
  commandWorks('unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'),
  'not run as root, or unshare is not installed',
);

/** Groups of tests that need disks in files. */
export const withLoopDisks = group(
  process.getuid?.() === 0 && commandWorks('mkfs.ext4', '-V') && commandWorks('losetup', '--find'),
  'not run as root, or mkfs.ext4 or loop devices are missing',
);

/** Groups of tests whose processes have to give up the right to read and write everything. */
export const withDroppedCapabilities = group(
  commandWorks('setpriv', '--bounding-set=-dac_override', 'true'),
  'not run as root, or setpriv is not installed',
);

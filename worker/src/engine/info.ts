import { ConfigError } from '@panal/protocol';
import type Docker from 'dockerode';

/** What is to be known of an engine before containers are made on it. */
export interface EngineInfo {
  /** Which engine it is. */
  id: string;
  /** The folder of its data, which no other engine of its machine has. */
  folder: string;
  /** Cores of its machine. */
  cores: number;
  /** What its machine calls its architecture, such as `x86_64`. */
  architecture: string;
  /** Limits that its kernel or set-up does not enforce. */
  warnings: string[];
  /** Whether the users of its containers are others outside of them, as with user namespaces. */
  mapsUsers: boolean;
  /** Names of the OCI runtimes that it can start containers with. */
  runtimes: string[];
}

/** Fields of the engine's answer that are false where a limit is not enforced. */
const ENFORCED: Readonly<Record<string, string>> = {
  MemoryLimit: 'memory',
  PidsLimit: 'processes',
  CpuCfsQuota: 'processor share',
};

const MAPS_USERS = /name=(?:userns|rootless)/;

export async function engineInfo(docker: Docker): Promise<EngineInfo> {
  const info: unknown = await docker.info();
  if (typeof info !== 'object' || info === null || !('NCPU' in info) || typeof info.NCPU !== 'number') {
    throw new TypeError('the engine does not say how many cores it has');
  }
  const warnings = Object.entries(info)
    .filter(([field, enforced]) => field in ENFORCED && enforced === false)
    .map(([field]) => `the container engine does not limit the ${ENFORCED[field] ?? field} of a sandbox`);
  const security: unknown = 'SecurityOptions' in info ? info.SecurityOptions : [];
  const mapsUsers = Array.isArray(security) && security.some((each) => MAPS_USERS.test(String(each)));
  const architecture = 'Architecture' in info ? String(info.Architecture) : '';
  const id = 'ID' in info ? String(info.ID) : '';
  const folder = 'DockerRootDir' in info ? String(info.DockerRootDir) : '';
  const known: unknown = 'Runtimes' in info ? info.Runtimes : {};
  const runtimes = typeof known === 'object' && known !== null ? Object.keys(known) : [];
  return { id, folder, cores: info.NCPU, architecture, warnings, mapsUsers, runtimes };
}

/** @throws ConfigError where an OCI runtime is asked for (`FAAS_RUNTIME`) that the engine does not have. */
export function checkRuntime({ runtimes }: EngineInfo, runtime: string | undefined): void {
  if (runtime === undefined || runtimes.includes(runtime)) return;
  const known = runtimes.join(', ');
  throw new ConfigError(`FAAS_RUNTIME: the container engine has no ${runtime}, only ${known}`);
}

import { fileURLToPath } from 'node:url';
import { unpack } from '@panal/bundle';
import { ConfigError, type BundleFormat, type Config } from '@panal/protocol';
import Docker from 'dockerode';
import type { Logger } from 'pino';
import type { BundleCache } from './bundles/bundle-cache.js';
import type { Claims } from './link/claim-client.js';
import { Credentials } from './images/credentials.js';
import { agentPath } from './sandbox/agent.js';
import { DockerDriver } from './sandbox/docker/driver.js';
import { installationOf } from './egress/installation.js';
import { ProcessDriver, type ProcessDriverOptions } from './sandbox/process/driver.js';
import type { SandboxDriver } from './sandbox/sandbox.js';

/** What a driver is made of, besides the settings. */
export interface DriverParts {
  workerId: string;
  bundles: BundleCache;
  claims: Claims;
  log: Logger;
}

/**
 * The driver that `FAAS_SANDBOX` names; for `auto` docker where a container engine answers, else process.
 * @throws ConfigError where docker, or an OCI runtime, is asked for and no engine answers, or credentials cannot be read.
 */
export async function chooseDriver(config: Config, parts: DriverParts): Promise<SandboxDriver> {
  const options = {
    ...parts,
    dataDir: config.FAAS_DATA_DIR,
    unpack: async (path: string, format: BundleFormat, folder: string) =>
      unpack(path, format, folder, {
        maxUnpacked: config.FAAS_MAX_BUNDLE_UNPACKED,
        maxEntries: config.FAAS_MAX_BUNDLE_ENTRIES,
      }),
    agent: agentPath(config.FAAS_AGENT),
    runtimesDir: fileURLToPath(new URL('../../runtimes', import.meta.url)),
    blanks: config.FAAS_PRELOAD !== 'none',
    prepareTimeoutMs: config.FAAS_PREPARE_TIMEOUT_MS,
    installation: installationOf(config),
    diskMb: config.FAAS_DISK_MB,
    uids: config.FAAS_UIDS,
  };
  const runtime = config.FAAS_RUNTIME;
  if (config.FAAS_SANDBOX === 'process') return processDriver(options, runtime);
  const docker = new Docker();
  if (await DockerDriver.answers(docker)) {
    const credentials = await checkedCredentials(config.FAAS_REGISTRY_AUTH);
    return new DockerDriver({ ...options, docker, runtime, registry: config.FAAS_REGISTRY, credentials });
  }
  if (config.FAAS_SANDBOX === 'docker') {
    throw new ConfigError('FAAS_SANDBOX is docker, but no container engine answers');
  }
  return processDriver(options, runtime);
}

/** Whoever names a runtime wants what it isolates, and not less in silence. */
function processDriver(options: ProcessDriverOptions, runtime: string | undefined): ProcessDriver {
  if (runtime === undefined) return new ProcessDriver(options);
  throw new ConfigError(
    'FAAS_RUNTIME is set, but functions would run as processes: it needs a container engine',
  );
}

async function checkedCredentials(path: string | undefined): Promise<Credentials> {
  const credentials = new Credentials(path);
  try {
    await credentials.check();
    return credentials;
  } catch (error) {
    throw new ConfigError(`FAAS_REGISTRY_AUTH: ${error instanceof Error ? error.message : String(error)}`);
  }
}

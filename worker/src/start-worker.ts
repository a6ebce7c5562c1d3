import { availableParallelism, totalmem } from 'node:os';
import { dataDirFailure, type Config } from '@panal/protocol';
import type { Welcome, WorkerTransport } from '@panal/transport';
import { workerKeys, ZmqWorkerTransport } from '@panal/transport/zeromq';
import type { Logger } from 'pino';
import { BundleCache } from './bundles/bundle-cache.js';
import { BundleClient } from './link/bundle-client.js';
import { CacheKeeper } from './cache/cache-keeper.js';
import { spareRoom } from './cache/spare-room.js';
import { chooseDriver } from './choose-driver.js';
import { HistogramPolicy } from './pool/histogram-policy.js';
import { operatorsProxy } from './egress/environment.js';
import { claimIdentity, type Identity } from './identity.js';
import { ClaimClient } from './link/claim-client.js';
import { MeteredDriver } from './metrics/metered-driver.js';
import { openMetrics, type ServedMetrics } from './metrics/served-metrics.js';
import { DemandPolicy, NoPreload, type PreloadPolicy } from './pool/preload.js';
import type { DriverInfo } from './sandbox/sandbox.js';
import { Worker, type WorkerOptions } from './execution/worker.js';

/** A worker that was started. */
export interface RunningWorker {
  readonly id: string;
  /** Drains: what runs may end for `FAAS_GRACE_MS`, the rest is handed back. May be called twice. */
  stop(): Promise<void>;
  /** Resolves once it has stopped; rejects, after it stopped, where it could not go on. */
  readonly stopped: Promise<void>;
}

/**
 * Starts a worker and lets it look for its broker.
 * @param onJoined is told in what functions run here, each time a broker took the worker.
 * @throws StartRefusal where settings do not go together, or the data folder cannot be written or is another worker's
 */
export async function startWorker(
  config: Config,
  log: Logger,
  onJoined: OnJoined = () => undefined,
): Promise<RunningWorker> {
  try {
    return await start(config, log, onJoined);
  } catch (error) {
    throw dataDirFailure(config.FAAS_DATA_DIR, error);
  }
}

type OnJoined = (info: Pick<DriverInfo, 'sandbox' | 'path'>) => void;

async function start(config: Config, log: Logger, onJoined: OnJoined): Promise<RunningWorker> {
  if (config.FAAS_DEPS_NETWORK === 'registries') operatorsProxy(config.FAAS_DEPS_PROXY, process.env);
  const broker = new ZmqWorkerTransport({
    address: config.ZMQ_CONN_ADDRESS,
    keys: workerKeys(config),
    log,
  });
  const identity = await claimIdentity(config.FAAS_DATA_DIR);
  const fetcher = new BundleClient({ log });
  const claims = new ClaimClient({ holder: identity.id, log });
  let metrics: ServedMetrics | undefined;
  try {
    metrics = await openMetrics(config, log);
    const bundles = new BundleCache({ dir: config.FAAS_DATA_DIR, fetcher });
    const parts = { workerId: identity.id, bundles, claims, log };
    const driver = new MeteredDriver(await chooseDriver(config, parts));
    return await run(config, log, { identity, fetcher, claims, bundles, driver, metrics, broker, onJoined });
  } catch (error) {
    fetcher.close();
    claims.close();
    await metrics?.close();
    await identity.release();
    throw error;
  }
}

type SettingNames = 'slots' | 'memoryMb' | 'policy' | 'budget' | 'parallelStarts' | 'maxOutput' | 'maxLogs';

interface Parts {
  identity: Identity;
  fetcher: BundleClient;
  claims: ClaimClient;
  bundles: BundleCache;
  driver: MeteredDriver;
  metrics: ServedMetrics;
  broker: WorkerTransport;
  onJoined: OnJoined;
}

async function run(config: Config, log: Logger, parts: Parts): Promise<RunningWorker> {
  const { identity, fetcher, claims, bundles, driver, metrics, broker, onJoined } = parts;
  const info = await driver.open();
  for (const warning of info.warnings) log.warn(warning);
  const limit = config.FAAS_CACHE_MB * 1024 ** 2;
  const spare = (): Promise<number> => spareRoom(config.FAAS_DATA_DIR);
  const keeper = new CacheKeeper({ caches: [bundles, ...driver.caches()], limit, spare, log });

  let end: (failure?: Error) => void = () => undefined;
  const stopped = new Promise<void>((resolve, reject) => {
    end = (failure) => (failure === undefined ? resolve() : reject(failure));
  });
  // Who does not look at `stopped` has the log.
  stopped.catch(() => undefined);
  let stopping: Promise<void> | undefined;
  const stop = async (graceMs: number): Promise<void> => await (stopping ??= leave(graceMs));
  const leave = async (graceMs: number): Promise<void> => {
    await worker.stop(graceMs);
    fetcher.close();
    await metrics.close();
    try {
      await driver.close();
    } finally {
      claims.close();
      await identity.release();
    }
  };

  const worker = new Worker({
    id: identity.id,
    ...settingsFor(config),
    driver,
    info,
    keeper,
    ...(metrics.outcomes && { outcomes: metrics.outcomes }),
    brokers: [broker],
    link: { heartbeatMs: config.FAAS_HEARTBEAT_MS, leaseMs: config.FAAS_LEASE_MS },
    onWelcome: (welcome, requests) => {
      if (!info.capabilities.includes('containers')) refuseExposed(welcome, config);
      fetcher.connect(requests);
      claims.connect(requests);
      onJoined({ sandbox: info.sandbox, path: info.path });
    },
    onFailure: (error) => {
      const fail = (): void => end(error);
      stop(0).then(fail, fail);
    },
    log,
  });
  metrics.watch({ worker, driver });
  worker.start();
  log.info(
    { worker: identity.id, slots: config.FAAS_SLOTS, sandbox: info.sandbox, path: info.path },
    'worker started',
  );
  return {
    id: identity.id,
    stop: async () => {
      await stop(config.FAAS_GRACE_MS);
      end();
    },
    stopped,
  };
}

/** Plain processes are no place for strangers' functions, unless the operator says so. */
function refuseExposed({ exposed }: Welcome, { FAAS_SANDBOX }: Config): void {
  if (!exposed || FAAS_SANDBOX === 'process') return;
  throw new Error(
    'the broker can be reached from other machines, and no container engine answers here: ' +
      'start one, or set FAAS_SANDBOX=process to run functions as processes all the same',
  );
}

function settingsFor(config: Config): Pick<WorkerOptions, SettingNames> {
  const slots = config.FAAS_SLOTS;
  const machineMb = Math.floor(totalmem() / 1024 ** 2);
  return {
    slots,
    memoryMb: config.FAAS_WORKER_MEMORY_MB ?? Math.floor((machineMb * 3) / 4),
    policy: policyFor(config),
    budget: {
      sandboxes: config.FAAS_SANDBOXES ?? 2 * slots,
      memoryMb: config.FAAS_SANDBOX_MEMORY_MB ?? Math.floor(machineMb / 2),
    },
    parallelStarts: Math.max(2, availableParallelism()),
    maxOutput: config.FAAS_MAX_OUTPUT,
    maxLogs: config.FAAS_MAX_LOGS,
  };
}

function policyFor({ FAAS_PRELOAD, FAAS_SLOTS }: Config): PreloadPolicy {
  switch (FAAS_PRELOAD) {
    case 'none':
      return new NoPreload();
    case 'runtime':
      return new DemandPolicy(FAAS_SLOTS);
    case 'function':
      return new HistogramPolicy({ most: FAAS_SLOTS });
  }
}

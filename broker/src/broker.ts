import { v7 as uuid } from 'uuid';
import type { Logger } from 'pino';
import { LIST_BYTES, summaryOf, type DiskReserve, type DiskStore } from '@panal/db';
import {
  ConfigError,
  dataDirFailure,
  isExposed,
  openDoors,
  PUBLIC_OWNER,
  type Config,
} from '@panal/protocol';
import { Backups } from './backup/backups.js';
import type { BrokerTransport } from '@panal/transport';
import { brokerKeys, ZmqBrokerTransport } from '@panal/transport/zeromq';
import { urlOf } from './addresses.js';
import { BundleKeeper } from './bundles/bundle-keeper.js';
import { BundleServer } from './bundles/bundle-server.js';
import type { BundleStore } from './bundles/bundle-store.js';
import { readBundledRuntimes, RUNTIMES_DIR } from './bundled-runtimes.js';
import { callLog } from './calls/call-log.js';
import { Calls } from './calls/calls.js';
import { KeyedCalls } from './calls/keyed-calls.js';
import { keptCalls } from './calls/kept-calls.js';
import { retention } from './calls/retention.js';
import { Closers } from './closers.js';
import { DiskRoom } from './disk-room.js';
import { Dispatcher } from './scheduling/dispatcher.js';
import { Scheduler } from './scheduling/scheduler.js';
import { cappedVersion } from './functions/ceilings.js';
import { Functions } from './functions/functions.js';
import { Runtimes } from './functions/runtimes.js';
import { Holder } from './holder.js';
import { createApp } from './http/app.js';
import { clientAddress } from './http/users/client-address.js';
import { HTTP_LIMITS } from './http/server/http-limits.js';
import { listen } from './http/server/listen.js';
import { RequestMemory } from './http/memory/request-memory.js';
import { Reception } from './http/server/reception.js';
import { BrokerMetrics } from './metrics/broker-metrics.js';
import { ownerLimits, type OwnerLimits } from './owner-limits.js';
import { estateOf } from './user-estate.js';
import { jwtSecret } from './users/jwt-secret.js';
import { Registrations } from './users/registrations.js';
import { problemsOf } from './readiness.js';
import { openStateWhenRoom } from './waiting-state.js';
import { Tokens } from './users/tokens.js';
import { Users } from './users/users.js';

/** A broker that serves. */
export interface RunningBroker {
  /** Where its HTTP API is, such as `http://127.0.0.1:3000`. */
  url: string;
  /** Port of the dispatch channel. */
  dispatchPort: number;
  /** Names of the first runtimes that anyone without credentials can use. */
  runtimes: readonly string[];
  /** Takes nothing more, answers what is under way within `FAAS_GRACE_MS`, closes channels and store. */
  stop(): Promise<void>;
}

/** Most names of runtimes that a greeting has. */
const RUNTIMES_SHOWN = 20;

const MiB = 1024 * 1024;

/** So many heartbeats have the workers of an earlier run to say which calls they still have. */
const RECOVERY_HEARTBEATS = 3;

/**
 * Opens the store, the HTTP port and the channels, and serves once it has them all: what reaches the broker finds it
 * whole, and nothing reaches one that cannot start.
 * @param signal ends the wait for space on a full disk
 * @throws StartRefusal if an address cannot be listened at, or the data folder cannot be used; PanalError STORE_UNAVAILABLE
 */
export async function startBroker(config: Config, log: Logger, signal?: AbortSignal): Promise<RunningBroker> {
  const closers = new Closers();
  try {
    return await start(config, log, closers, signal);
  } catch (error) {
    await closers.close();
    throw dataDirFailure(config.FAAS_DATA_DIR, error);
  }
}

async function start(
  config: Config,
  log: Logger,
  closers: Closers,
  signal?: AbortSignal,
): Promise<RunningBroker> {
  const metrics = new BrokerMetrics();
  const holder = new Holder(config.FAAS_DATA_DIR);
  const run = uuid();
  const { store, reserve, bundles } = await openStateWhenRoom(config, {
    run,
    closers,
    observer: metrics.store,
    errors: metrics.errors,
    holder,
    log,
    signal,
  });
  const room = await openRoom(config, { store, reserve, log }, closers);
  const transport = new ZmqBrokerTransport({
    address: config.ZMQ_BIND_ADDRESS,
    curve: brokerKeys(config),
    log,
  });
  const limits = ownerLimits(config, () => store.users.hasUsers);
  const dispatcher = makeDispatcher(config, { transport, store, room, limits, run, log });
  room.countOutcomesOf(() => dispatcher.handedOut);
  const keeper = new BundleKeeper({ store: store.functions, bundles, log });
  const calls: Calls = new Calls({
    store,
    run,
    dispatch: dispatcher,
    policy: { attempts: config.FAAS_ATTEMPTS, backoffMs: config.FAAS_BACKOFF_MS },
    maxQueue: config.FAAS_MAX_QUEUE,
    ownerQueue: limits.unsettled,
    maxBytes: MiB * config.FAAS_QUEUE_MB,
    ownerBytes: MiB * config.FAAS_USER_QUEUE_MB,
    memoryBytes: MiB * config.FAAS_PARAMS_MEMORY_MB,
    room,
    recoveryMs: RECOVERY_HEARTBEATS * config.FAAS_HEARTBEAT_MS,
    observer: callLog(log, metrics.calls),
    asRun: (version) => cappedVersion(version, config),
    bindImage: (spec, imageDigest) => functions.bindImage(spec, imageDigest),
    onVersionGone(version) {
      dispatcher.retire([version.spec.id]);
      void keeper.discard([summaryOf(version)]);
    },
    log,
  });
  await calls.recover();
  closers.add(() => calls.stop());
  const unwatch = metrics.watch({ calls, dispatcher });
  closers.add(async () => unwatch());
  const runtimes = new Runtimes({
    store: store.functions,
    bundled: await readBundledRuntimes(RUNTIMES_DIR),
    most: config.FAAS_USER_RUNTIMES,
  });
  const functions: Functions = new Functions({
    store: store.functions,
    runtimes,
    bundles: keeper,
    calls,
    hosts: dispatcher,
    limitsOf: limits.stored,
    defaults: config,
  });
  const memory = new RequestMemory({
    bodies: Math.max(MiB * config.FAAS_BODIES_MB, 4 * config.FAAS_MAX_BODY),
    answers: MiB * config.FAAS_ANSWERS_MB,
    waiting: config.FAAS_WAITING,
    uploads: config.FAAS_UPLOADS,
    hasUsers: () => store.users.hasUsers,
  });
  const app = createApp({
    users: await openUsers(config, { store, calls, functions }),
    auth: config.FAAS_AUTH,
    clientAddress: clientAddress(config.FAAS_TRUSTED_PROXIES),
    functions,
    runtimes,
    calls,
    keyedCalls: openKeyedCalls(store, calls, log, closers),
    cluster: dispatcher,
    readiness: { problems: () => problemsOf({ store, room, dispatcher, calls }) },
    room,
    metrics: metrics.set,
    errors: metrics.errors,
    registrations: new Registrations(config.FAAS_REGISTRATIONS),
    backups: await openBackups(config, { store, bundles, log }),
    operatorToken: config.FAAS_OPERATOR_TOKEN,
    uploadFolder: bundles.uploadFolder,
    memory,
    limits: { body: config.FAAS_MAX_BODY, bundle: config.FAAS_MAX_BUNDLE },
    gateway: { waitMs: config.FAAS_ACTIVATE_TIMEOUT_MS, concurrency: limits.running },
    log,
  });
  // The port first: a broker that cannot have it must not be met by workers that look for another one.
  const reception = new Reception();
  const http = await listening(`PORT ${config.PORT}`, () =>
    listen(reception, config.HOST, config.PORT, HTTP_LIMITS, memory.unread),
  );
  closers.add(() => transport.close());
  closers.add(async () => dispatcher.stop());
  dispatcher.start(calls.attempts);
  const { answer } = new BundleServer({ bundles, log });
  const channels = `ZMQ_BIND_ADDRESS ${config.ZMQ_BIND_ADDRESS} (and the next two ports)`;
  await listening(channels, () => transport.open({ ...dispatcher.handlers, onRequest: answer })).catch(
    async (error: unknown) => {
      await http.close(0);
      throw error;
    },
  );
  const dispatchPort = transport.port;
  closers.add(async () => {
    calls.announceStop();
    await http.close(config.FAAS_GRACE_MS);
  });
  await startUpkeep(config, { store, room, keeper, log }, closers);
  reception.open(app);
  const url = urlOf(config.HOST, http.port);
  await holder.note(url);
  log.info({ url, dispatchPort }, 'broker listening');
  for (const door of openDoors(config)) log.error(door);
  return {
    url,
    dispatchPort,
    runtimes: await runtimes.list({ owner: PUBLIC_OWNER, limit: RUNTIMES_SHOWN }),
    stop: () => closers.close(),
  };
}

/** Begins to remove what is kept no longer. */
async function startUpkeep(
  config: Config,
  { store, room, keeper, log }: { store: DiskStore; room: DiskRoom; keeper: BundleKeeper; log: Logger },
  closers: Closers,
): Promise<void> {
  const kept = await keptCalls(config, () => store.users.hasUsers);
  const oldCalls = retention({ store: store.calls, kept, isShort: () => room.problem !== undefined, log });
  for (const task of [oldCalls, keeper]) {
    task.start();
    closers.add(() => task.stop());
  }
}

async function openBackups(
  { FAAS_DATA_DIR: dataDir }: Config,
  parts: { store: DiskStore; bundles: BundleStore; log: Logger },
): Promise<Backups> {
  const backups = new Backups({ ...parts, dataDir });
  await backups.open();
  return backups;
}

function openKeyedCalls(store: DiskStore, calls: Calls, log: Logger, closers: Closers): KeyedCalls {
  const keyed = new KeyedCalls({
    store: store.keys,
    getCall: (owner, callNum) => calls.get(owner, callNum, LIST_BYTES),
    log,
  });
  keyed.start();
  closers.add(() => keyed.stop());
  return keyed;
}

async function openUsers(
  config: Config,
  { store, calls, functions }: { store: DiskStore; calls: Calls; functions: Functions },
): Promise<Users> {
  const secret = await jwtSecret(config.FAAS_DATA_DIR, config.FAAS_JWT_SECRET);
  return new Users({
    store: store.users,
    tokens: new Tokens({ secret, ttl: config.FAAS_TOKEN_TTL_S, now: Date.now }),
    estate: estateOf(calls, functions),
  });
}

async function openRoom(
  config: Config,
  parts: { store: DiskStore; reserve: DiskReserve; log: Logger },
  closers: Closers,
): Promise<DiskRoom> {
  const { FAAS_DISK_FLOOR_MB: floorMb, FAAS_MAX_OUTPUT, FAAS_MAX_LOGS, FAAS_DATA_DIR: folder } = config;
  const floor = floorMb === undefined ? undefined : MiB * floorMb;
  const outcomeBytes = FAAS_MAX_OUTPUT + FAAS_MAX_LOGS;
  const room = new DiskRoom({ folder, floor, outcomeBytes, ...parts });
  await room.start();
  closers.add(() => room.stop());
  return room;
}

function makeDispatcher(
  config: Config,
  parts: {
    transport: BrokerTransport;
    store: DiskStore;
    room: DiskRoom;
    limits: OwnerLimits;
    run: string;
    log: Logger;
  },
): Dispatcher {
  const { transport, store, room, limits, run, log } = parts;
  const spare = {
    slots: config.FAAS_SPARE_SLOTS,
    memoryMb: Math.min(config.FAAS_MEMORY_MB, config.FAAS_MAX_MEMORY_MB),
  };
  return new Dispatcher({
    transport,
    scheduler: new Scheduler({
      ownerLimit: limits.running,
      // Without users there is `public` alone, and nobody to leave anything to.
      spare: () => (spare.slots > 0 && store.users.hasUsers ? spare : undefined),
    }),
    brokerId: run,
    hasRoomFor: (calls) => room.hasRoomFor(calls),
    heartbeatMs: config.FAAS_HEARTBEAT_MS,
    leaseMs: config.FAAS_LEASE_MS,
    exposed: isExposed(config),
    log,
  });
}

/** An address that is taken, or is not of this machine, is a matter of the settings. All addresses go together. */
async function listening<T>(setting: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    throw new ConfigError(
      `${setting} cannot be listened at: ${error instanceof Error ? error.message : String(error)}; choose where ` +
        'the broker listens with PORT and ZMQ_BIND_ADDRESS, and tell the workers the latter with ZMQ_CONN_ADDRESS',
    );
  }
}

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { LevelStore, LIST_BYTES, summaryOf, type LevelStoreOptions, type VersionRecord } from '@panal/db';
import { readConfig } from '@panal/protocol';
import type { Outcome } from '@panal/transport';
import { outcomeOf } from '../broker/outcomes.js';
import { pino } from 'pino';
import { Backups } from '../../broker/src/backup/backups.js';
import { BundleKeeper } from '../../broker/src/bundles/bundle-keeper.js';
import { BundleStore } from '../../broker/src/bundles/bundle-store.js';
import { Calls } from '../../broker/src/calls/calls.js';
import { WorkerTally, type WorkerCounts } from '../../broker/src/scheduling/worker-registry.js';
import { KeyedCalls } from '../../broker/src/calls/keyed-calls.js';
import type { Job } from '../../broker/src/scheduling/job.js';
import { Functions } from '../../broker/src/functions/functions.js';
import { Runtimes } from '../../broker/src/functions/runtimes.js';
import { createApp } from '../../broker/src/http/app.js';
import { RequestMemory, type RequestLimits } from '../../broker/src/http/memory/request-memory.js';
import { clientAddress } from '../../broker/src/http/users/client-address.js';
import { HTTP_LIMITS } from '../../broker/src/http/server/http-limits.js';
import { listen, type Listener } from '../../broker/src/http/server/listen.js';
import type { Cluster, Services } from '../../broker/src/http/services.js';
import { BrokerMetrics } from '../../broker/src/metrics/broker-metrics.js';
import { estateOf } from '../../broker/src/user-estate.js';
import { Registrations } from '../../broker/src/users/registrations.js';
import { Tokens } from '../../broker/src/users/tokens.js';
import { Users } from '../../broker/src/users/users.js';
import { temporaryFolder } from '../support/folder.js';
import { ScriptedDispatch } from '../support/scripted-dispatch.js';
import { pythonRuntime } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';

/** A cluster whose workers are the test: it takes the jobs, and says how they end. */
export class ScriptedCluster extends ScriptedDispatch implements Cluster {
  readonly retired: string[] = [];
  /** Pairs of versions: before, next. */
  readonly replaced: [string, string][] = [];
  views: ReturnType<Cluster['workers']> = [];
  readonly tally = new WorkerTally();

  counts(): WorkerCounts {
    return { up: 1, draining: 0, slots: 4, busy: 1, waiting: this.jobs.length };
  }

  replace(before: string, next: string): void {
    this.replaced.push([before, next]);
  }

  retire(functionIds: readonly string[]): void {
    this.retired.push(...functionIds);
  }

  workers(): ReturnType<Cluster['workers']> {
    return this.views;
  }
}

/** An answer, read whole. */
export interface Reply {
  status: number;
  headers: Headers;
  bytes: Buffer;
  text: string;
  /** The body as JSON; `undefined` where it is none. */
  json: unknown;
}

/** Signs the tokens of the API under test. */
export const TOKEN_SECRET = 'a secret of the test that is long enough';

export interface ApiOptions {
  auth?: Services['auth'];
  proxies?: Parameters<typeof clientAddress>[0];
  /** How long `/functions/activate` waits. */
  activateMs?: number;
  /** Registrations an hour of an address; plenty by default. */
  registrations?: number;
  operatorToken?: string;
  memory?: RequestLimits;
  database?: NonNullable<LevelStoreOptions['database']>;
}

/** The broker's HTTP side on a free port, with a real store, real bundles and real calls; its cluster is scripted. */
export class Api {
  readonly folder: string;
  readonly store: LevelStore;
  readonly bundles: BundleStore;
  readonly keeper: BundleKeeper;
  readonly functions: Functions;
  readonly runtimes: Runtimes;
  readonly calls: Calls;
  readonly users: Users;
  /** What the users' clock shows, in epoch ms. */
  now = Date.now();
  readonly cluster = new ScriptedCluster();
  readonly metrics = new BrokerMetrics();
  readonly problems: string[] = [];
  readonly services: Services;
  /** What was logged, a line of JSON each. */
  readonly logged: string[] = [];
  #listener: Listener | undefined;
  #unwatch: (() => void) | undefined;

  constructor(folder: string, options: ApiOptions = {}) {
    const { auth = 'open', proxies = [], activateMs = 40_000, registrations = 1000 } = options;
    const { operatorToken, database } = options;
    this.folder = folder;
    const { metrics } = this;
    this.store = new LevelStore(join(folder, 'store'), {
      durability: 'os',
      observer: metrics.store,
      ...(database && { database }),
    });
    this.bundles = new BundleStore(folder, { maxUnpacked: 1024 * 1024, maxEntries: 100 });
    const { store, bundles, cluster } = this;
    this.runtimes = new Runtimes({ store: store.functions, bundled: [pythonRuntime] });
    const defaults = readConfig({});
    const sink = new Writable({
      write: (line: Buffer, _encoding, done) => {
        this.logged.push(line.toString());
        done();
      },
    });
    const log = pino({ level: 'info' }, sink);
    const policy = { attempts: 1, backoffMs: 0 };
    const counted = { observer: metrics.calls, log };
    this.keeper = new BundleKeeper({ store: store.functions, bundles, log });
    const onVersionGone = (version: VersionRecord): void => void this.keeper.discard([summaryOf(version)]);
    const events = { onVersionGone, ...counted };
    this.calls = new Calls({ store, dispatch: cluster, policy, maxQueue: 200, recoveryMs: 0, ...events });
    const { calls, runtimes, keeper } = this;
    this.functions = new Functions({
      store: store.functions,
      bundles: keeper,
      calls,
      hosts: cluster,
      runtimes,
      defaults,
    });
    this.users = new Users({
      store: store.users,
      tokens: new Tokens({ secret: TOKEN_SECRET, ttl: 3600, now: () => this.now }),
      estate: estateOf(calls, this.functions),
      now: () => this.now,
    });
    this.services = {
      users: this.users,
      auth,
      clientAddress: clientAddress(proxies),
      gateway: { waitMs: activateMs, concurrency: () => 2 },
      functions: this.functions,
      runtimes: this.runtimes,
      calls: this.calls,
      keyedCalls: new KeyedCalls({
        store: store.keys,
        getCall: (owner, callNum) => calls.get(owner, callNum, LIST_BYTES),
        log,
      }),
      cluster,
      readiness: { problems: () => this.problems },
      room: { admit: () => undefined },
      metrics: metrics.set,
      errors: metrics.errors,
      registrations: new Registrations(registrations),
      backups: new Backups({ store, bundles, dataDir: folder, log }),
      operatorToken,
      uploadFolder: bundles.uploadFolder,
      memory: new RequestMemory({ uploads: 16, ...options.memory }),
      limits: { body: 64 * 1024, bundle: 128 * 1024 },
      log,
    };
  }

  async start(): Promise<void> {
    await this.store.open();
    await this.bundles.open();
    this.#unwatch = this.metrics.watch({ calls: this.calls, dispatcher: this.cluster });
    await this.calls.recover();
    const { unread } = this.services.memory;
    this.#listener = await listen(createApp(this.services), '127.0.0.1', 0, HTTP_LIMITS, unread);
  }

  async stop(): Promise<void> {
    await this.#listener?.close(0);
    this.#unwatch?.();
    await this.calls.stop();
    await this.store.close();
  }

  get port(): number {
    if (this.#listener === undefined) throw new Error('not started');
    return this.#listener.port;
  }

  get listener(): Listener | undefined {
    return this.#listener;
  }

  async send(method: string, path: string, body?: RequestInit['body'], headers = {}): Promise<Reply> {
    const init: RequestInit = { method, headers, ...(body != null && { body, duplex: 'half' }) };
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`, init);
    const bytes = Buffer.from(await response.arrayBuffer());
    return {
      status: response.status,
      headers: response.headers,
      bytes,
      text: bytes.toString(),
      json: json(bytes),
    };
  }

  async get(path: string): Promise<Reply> {
    return await this.send('GET', path);
  }

  /** Sends `value` as JSON. */
  async post(path: string, value: unknown, headers = {}): Promise<Reply> {
    return await this.send('POST', path, JSON.stringify(value), headers);
  }

  async put(path: string, value: unknown): Promise<Reply> {
    return await this.send('PUT', path, JSON.stringify(value));
  }

  async registerImage(functionName: string, settings = {}): Promise<Reply> {
    return await this.post('/registerFunction', {
      functionName,
      image: `example/${functionName}`,
      ...settings,
    });
  }

  /** Uploads `module` on the bundled runtime. */
  async upload(name: string, module: Uint8Array, fields: Record<string, string> = {}): Promise<Reply> {
    const form = new FormData();
    for (const [field, value] of Object.entries(fields)) form.set(field, value);
    form.set('module', new Blob([module]), 'module.bin');
    return await this.send('POST', `/registerFunction/pythonruntime/${name}`, form);
  }

  /** Waits for the next job and begins it, as a worker would. */
  async take(): Promise<Job> {
    const job = await eventually('a job', () => this.cluster.jobs.shift());
    this.calls.attempts.started(job, 'worker-1');
    return job;
  }

  /** Ends a job that was taken. */
  async end(job: Job, result: string | Uint8Array, fields: Partial<Outcome> = {}, logs = ''): Promise<void> {
    const { outcome } = outcomeOf(job, { worker: 'worker-1', ...fields });
    await this.calls.attempts.ended(job, { outcome, result: Buffer.from(result), logs: Buffer.from(logs) });
  }

  async uploads(): Promise<string[]> {
    return await readdir(this.bundles.uploadFolder);
  }

  async storedBundles(): Promise<string[]> {
    return await readdir(join(this.folder, 'bundles'));
  }
}

/** A started `Api` for each test of the group it is called in. */
export function startedApi(options: ApiOptions = {}): () => Api {
  let api: Api | undefined;
  // Hooks run in the order in which they are given: the folder is removed after what uses it has stopped.
  afterEach(async () => {
    await api?.stop();
  });
  const folder = temporaryFolder();
  beforeEach(async () => {
    api = new Api(folder(), options);
    await api.start();
  });
  return () => {
    if (api === undefined) throw new Error('called outside of a test');
    return api;
  };
}

/** The code of an error answer; it has the one shape that errors have. */
export function errorCode({ json }: Reply): unknown {
  return (json as { error?: { code?: unknown } } | undefined)?.error?.code;
}

function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

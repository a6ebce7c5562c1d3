import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { BundleRef } from '@panal/protocol';
import type { RequestSource } from '@panal/transport';
import { pino } from 'pino';
import { RequestClient, RequestServer, type BrokerKeys, type WorkerKeys } from '@panal/transport/zeromq';
import { BundleServer, type BundleServerOptions } from '../../broker/src/bundles/bundle-server.js';
import { BundleStore } from '../../broker/src/bundles/bundle-store.js';
import { BundleClient, type BundleClientOptions } from '../../worker/src/link/bundle-client.js';
import { tar } from '../../testkit/archives.js';
import { eventually } from '../../testkit/wait.js';

export const log = pino({ level: 'silent' });
export const limits = { maxUnpacked: 128 * 1024 * 1024, maxEntries: 100 };
export const never = new AbortController().signal;

/** Reads of the store, counted, and stopped where a test wants to look. */
export class WatchedStore {
  reads = 0;
  /** Is called before each read; the read waits for it. */
  before: (read: number) => Promise<void> | void = () => undefined;
  readonly #store: BundleStore;

  constructor(store: BundleStore) {
    this.#store = store;
  }

  async read(...args: Parameters<BundleStore['read']>): ReturnType<BundleStore['read']> {
    this.reads += 1;
    await this.before(this.reads);
    return await this.#store.read(...args);
  }
}

/** How a client asks the broker whose bundle channel has this port. */
export function requestsAt(port: number, keys?: WorkerKeys): RequestSource {
  const address = `tcp://127.0.0.1:${port}`;
  return (onAnswer) => new RequestClient({ address, keys, onAnswer, log });
}

type ServerOptions = Partial<BundleServerOptions> & { curve?: BrokerKeys };

/** The broker's end of the bundle channel. */
export interface ChannelServer {
  start(address: string): Promise<number>;
  stop(): Promise<void>;
}

/** A broker's and a worker's end of the bundle channel on a free port, and all that was started, to be stopped. */
export class Channel {
  readonly store: BundleStore;
  readonly watched: WatchedStore;
  readonly #stops: (() => Promise<void> | void)[] = [];

  constructor(dataDir: string) {
    this.store = new BundleStore(dataDir, limits);
    this.watched = new WatchedStore(this.store);
  }

  /** Stores a bundle of random bytes, packed in as many. */
  async put(size: number): Promise<BundleRef> {
    const upload = join(this.store.uploadFolder, 'upload');
    await writeFile(upload, gzipSync(tar([{ name: 'data', content: randomBytes(size) }]), { level: 0 }));
    return await this.store.adopt(upload, (bundle) => Promise.resolve(bundle));
  }

  server(options: ServerOptions = {}): ChannelServer {
    const { curve, ...others } = options;
    const server = new RequestServer({ curve, log });
    const { answer } = new BundleServer({ bundles: this.watched, log, ...others });
    this.#stops.unshift(() => server.stop());
    return { start: (address) => server.start(address, answer), stop: () => server.stop() };
  }

  /** Starts a server; on a port that another had until now, as soon as it is free. */
  async serve(port = 0, options?: ServerOptions): Promise<{ server: ChannelServer; port: number }> {
    const server = this.server(options);
    const start = (): Promise<number> => server.start(`tcp://127.0.0.1:${port}`);
    if (port === 0) return { server, port: await start() };
    return { server, port: await eventually('the port is free', () => start().catch(() => undefined)) };
  }

  client(port: number, options: Partial<BundleClientOptions> & { keys?: WorkerKeys } = {}): BundleClient {
    const { keys, ...others } = options;
    const client = new BundleClient({ log, ...others });
    this.#stops.unshift(() => client.close());
    client.connect(requestsAt(port, keys));
    return client;
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops) await stop();
  }
}

/** All of a bundle in one piece. */
export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

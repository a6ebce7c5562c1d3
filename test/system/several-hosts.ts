import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { curveKeyPair } from 'zeromq';
import { z } from 'zod';
import { Closers } from '../../broker/src/closers.js';
import { tarGz } from '../../testkit/archives.js';
import { at, Network, type Host } from '../../testkit/network.js';
import type { Cluster } from '../../testkit/cluster.js';
import { engineCluster } from './engine-cluster.js';

/** Calls that run at once on each worker. */
export const SLOTS = 4;
const MB = 1_000_000;
const METRICS = '127.0.0.1:9101';
const SHOW_METRICS = `fetch('http://${METRICS}/metrics').then((answer) => answer.text()).then(console.log)`;

/** A call as the broker answers with it. */
export type Call = Record<string, unknown>;

const callsSchema = z.record(z.string(), z.object({ attempts: z.number() }));

/** A worker that has a host to itself. */
export interface HostedWorker {
  readonly id: string;
  readonly host: Host;
}

/**
 * Three hosts, the first with the broker, the others for a worker each. Channels are encrypted, and workers are let in by
 * their key.
 */
export class SeveralHosts {
  readonly one: Host;
  readonly two: Host;
  readonly three: Host;
  /** Closes what was started on the hosts, before the hosts. */
  readonly closers = new Closers();
  readonly #broker = curveKeyPair();
  readonly #worker = curveKeyPair();
  readonly #workers: HostedWorker[] = [];
  #panal: Cluster | undefined;

  constructor(network: Network) {
    this.closers.add(async () => network.close());
    [this.one, this.two, this.three] = [network.host(), network.host(), network.host()];
  }

  get panal(): Cluster {
    if (this.#panal === undefined) throw new Error('the broker was not started');
    return this.#panal;
  }

  /** What a worker needs to be let in. */
  get keys(): Record<
    'FAAS_CURVE_SERVER_PUBLIC' | 'FAAS_CURVE_CLIENT_PUBLIC' | 'FAAS_CURVE_CLIENT_SECRET',
    string
  > {
    return {
      FAAS_CURVE_SERVER_PUBLIC: this.#broker.publicKey,
      FAAS_CURVE_CLIENT_PUBLIC: this.#worker.publicKey,
      FAAS_CURVE_CLIENT_SECRET: this.#worker.secretKey,
    };
  }

  async startBroker(settings: Record<string, string> = {}): Promise<void> {
    const keys = {
      FAAS_CURVE_SERVER_SECRET: this.#broker.secretKey,
      FAAS_CURVE_SERVER_PUBLIC: this.#broker.publicKey,
      FAAS_CURVE_CLIENT_PUBLIC: this.#worker.publicKey,
    };
    const panal = await engineCluster({ ...keys, ...settings }, this.one);
    this.closers.add(() => panal.stop());
    this.#panal = panal;
  }

  async startWorker(host: Host, settings: Record<string, string>): Promise<HostedWorker> {
    const own = { FAAS_SLOTS: String(SLOTS), FAAS_PRELOAD: 'runtime', FAAS_METRICS_ADDRESS: METRICS };
    const { said } = await this.panal.addWorker({ ...own, ...this.keys, ...settings }, host);
    const id = /"worker":"([0-9a-f-]+)"/.exec(said)?.[1];
    if (id === undefined) throw new Error(`the worker does not say who it is: ${said}`);
    const worker = { id, host };
    this.#workers.push(worker);
    return worker;
  }

  /** How many calls are at this attempt now. */
  async running(attempt: number): Promise<number> {
    const { json } = await this.panal.request('GET', '/calls?status=RUNNING');
    return Object.values(callsSchema.parse(json)).filter(({ attempts }) => attempts === attempt).length;
  }

  /** A metric of a worker, without labels; it is asked for on its host, which may be cut off. */
  metric({ host }: HostedWorker, name: string): number {
    const text = execFileSync(...at(host, [process.execPath, '-e', SHOW_METRICS]), { encoding: 'utf8' });
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  }

  /** Registers a handler in Python, with so many MB that cannot be packed any smaller. */
  async registerHandler(
    name: string,
    code: string,
    { runtime = 'pythonruntime', megabytes = 0 } = {},
  ): Promise<void> {
    const bundle = tarGz([
      { name: 'handler.py', content: code },
      { name: 'weights.bin', content: randomBytes(megabytes * MB) },
    ]);
    const path = `/registerFunction/${runtime}/${name}`;
    const answer = await this.panal.upload(path, bundle, 'code.tar.gz', { lifecycle: 'hot' });
    expect(answer.status, answer.text).to.equal(201);
  }

  /** Calls at once, as many as run at once, and waits until they ended. */
  async callAll(funcName: string, params: unknown = {}): Promise<Call[]> {
    const call = async (): Promise<Call> =>
      (await this.panal.post('/invokeFunction?wait=110', { funcName, params })).json;
    return await Promise.all(this.#workers.flatMap(() => Array.from({ length: SLOTS }, call)));
  }

  /** MB that come over each worker's cable until `doing` is done. */
  async received(doing: () => Promise<unknown>): Promise<number[]> {
    const before = this.#workers.map(({ host }) => host.received);
    await doing();
    return this.#workers.map(({ host }, index) => (host.received - (before[index] ?? 0)) / MB);
  }
}

import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Pull, Router } from 'zeromq';
import {
  bundleRequestSchema,
  decode,
  encode,
  PROTOCOL_VERSION,
  replyMessageSchema,
  workerMessageSchema,
} from '@panal/transport';
import type { ZmqBrokerMessage as BrokerMessage, ZmqWelcome as Welcome } from '@panal/transport/zeromq';
import type { ManagedProcess } from '../testkit/managed-process.js';
import { panalProcess } from '../testkit/panal-process.js';
import { eventually } from '../testkit/wait.js';
import { tarGz } from '../testkit/archives.js';
import { freePorts } from '../testkit/ports.js';
import { runtimeSpec, pythonRuntime } from '../test/support/specs.js';
import type { Shot, Vitals } from './target.js';
import { vitalsOf } from './vitals.js';

const NOTHING = Buffer.alloc(0);
/** Who does not take what is said to him must not keep the others from hearing. */
const SENDER = { linger: 0, mandatory: true, sendTimeout: 0 };
const NOT_HEARD = ['EHOSTUNREACH', 'EAGAIN'];

const archive = tarGz([
  { name: 'handler.py', content: 'def handler(params, context):\n    return params\n' },
]);
const bundle = {
  sha256: createHash('sha256').update(archive).digest('hex'),
  size: archive.byteLength,
  format: 'tar.gz' as const,
};

/** A broker that says to a real worker whatever it is told to; and, for the canary, what it should. */
export class HostileBroker {
  readonly #router = new Router(SENDER);
  readonly #pull = new Pull({ linger: 0 });
  readonly #bundles = new Router(SENDER);
  readonly #port: number;
  readonly #metricsUrl: string;
  readonly #worker: ManagedProcess;
  readonly #loops: Promise<void>[];
  readonly #results = new Map<number, string>();
  #peer: Buffer | undefined;
  /** Who asked for code lately. */
  #bundlePeers = new Set<string>();
  #hellos = 0;
  #heartbeats = 0;
  /** What the worker said it has when it greeted last. */
  #leases: string[] = [];
  #calls = 0;
  #sending: Promise<void> = Promise.resolve();

  private constructor(port: number, metricsPort: number, worker: ManagedProcess) {
    this.#port = port;
    this.#metricsUrl = `http://127.0.0.1:${metricsPort}/metrics`;
    this.#worker = worker;
    this.#loops = [];
  }

  static async open(folder: string): Promise<HostileBroker> {
    const [port, metricsPort] = [await freePorts(), await freePorts()];
    const env = {
      PATH: process.env.PATH ?? '',
      HOME: folder,
      NODE_OPTIONS: '--max-old-space-size=192',
      ZMQ_CONN_ADDRESS: `tcp://127.0.0.1:${port}`,
      FAAS_DATA_DIR: join(folder, 'worker'),
      FAAS_SANDBOX: 'process',
      FAAS_SLOTS: '2',
      FAAS_LOG_LEVEL: 'error',
      FAAS_HEARTBEAT_MS: '100',
      FAAS_METRICS_ADDRESS: `127.0.0.1:${metricsPort}`,
    };
    const log = join(folder, 'worker.log');
    const worker = panalProcess('worker', { build: 'compiled', env, log });
    const broker = new HostileBroker(port, metricsPort, worker);
    try {
      await broker.#open();
    } catch (error) {
      await broker.close();
      throw error;
    }
    return broker;
  }

  /** Says this on the dispatch channel, and to whoever asked for a bundle. */
  async say(frames: Shot): Promise<void> {
    const bytes = frames.map((frame) => Buffer.from(frame));
    if (this.#peer !== undefined) await this.#send(this.#router, this.#peer, bytes);
    for (const peer of this.#bundlePeers) await this.#send(this.#bundles, Buffer.from(peer, 'latin1'), bytes);
  }

  /** Makes the worker greet, and waits for it: what was said before is dealt with by then. */
  async ask(): Promise<void> {
    const before = this.#hellos;
    let asked = 0;
    await eventually('the worker greets', async () => {
      this.checkSilence();
      // One that is not welcome yet does not heed `who`, and one that is does not heed `welcome`.
      if (asked++ % 25 === 0) await this.#sayMessage(this.#welcome, { type: 'who' });
      return this.#hellos > before;
    });
  }

  /** @throws Error where the worker ended, or said something: only errors are logged */
  checkSilence(): void {
    const { said, alive } = this.#worker;
    if (said !== '') throw new Error(`the worker said: ${said.slice(0, 2000)}`);
    if (!alive) throw new Error('the worker has ended');
  }

  /** Welcomes the worker, lets go of what it has, and lets it run a call whose code it has to fetch. */
  async canary(): Promise<void> {
    await this.ask();
    await this.#join();
    const leases = this.#leases;
    await this.#sayMessage(...leases.map((each) => ({ type: 'cancel' as const, lease: each })), {
      type: 'ack',
      leases,
    });
    const callNum = ++this.#calls;
    const lease = `canary ${callNum} ${randomBytes(4).toString('hex')}`;
    const spec = runtimeSpec('canary', { id: `canary-${callNum}`, lifecycle: 'hot', runtime: pythonRuntime });
    const invoke = {
      type: 'invoke' as const,
      lease,
      callNum,
      attempt: 1,
      functionId: spec.id,
      input: 'json' as const,
    };
    const token = JSON.stringify(lease);
    await this.#sayFrames(
      encode([{ message: { ...invoke, spec: { ...spec, ...{ bundle } } }, parts: [Buffer.from(token)] }]),
    );
    const result = await eventually('the canary has run', () => this.#results.get(callNum));
    this.#results.clear();
    await this.#sayMessage({ type: 'ack', leases: [lease] }, { type: 'retire', functionIds: [spec.id] });
    if (result !== lease) throw new Error(`the canary gave ${result}`);
    this.checkSilence();
  }

  async vitals(): Promise<Vitals> {
    const { pid } = this.#worker;
    if (pid === undefined) throw new Error('the worker has ended');
    return await vitalsOf(pid, this.#metricsUrl);
  }

  async close(): Promise<void> {
    await this.#worker.kill();
    for (const socket of [this.#router, this.#pull, this.#bundles]) socket.close();
    await Promise.all(this.#loops);
  }

  async #open(): Promise<void> {
    for (const [index, socket] of [this.#router, this.#pull, this.#bundles].entries()) {
      await socket.bind(`tcp://127.0.0.1:${this.#port + index}`);
    }
    this.#loops.push(this.#hear(), this.#collect(), this.#serve());
    this.#worker.start();
    await eventually('the worker greets', () => this.#hellos > 0);
    await this.#join();
  }

  async #join(): Promise<void> {
    const before = this.#heartbeats;
    await this.#sayMessage(this.#welcome);
    await eventually('the worker has joined', () => this.#heartbeats > before);
  }

  get #welcome(): Welcome {
    const ports = { replyPort: this.#port + 1, bundlePort: this.#port + 2 };
    const terms = {
      protocol: PROTOCOL_VERSION,
      broker: 'broker',
      heartbeatMs: 100,
      leaseMs: 60_000,
      exposed: false,
    };
    return { type: 'welcome', ...terms, ...ports };
  }

  async #sayMessage(...messages: BrokerMessage[]): Promise<void> {
    await this.#sayFrames(encode(messages.map((message) => ({ message, parts: [] }))));
  }

  async #sayFrames([head, body]: [string, Uint8Array]): Promise<void> {
    if (this.#peer !== undefined)
      await this.#send(this.#router, this.#peer, [Buffer.from(head), Buffer.from(body)]);
  }

  async #hear(): Promise<void> {
    for await (const [peer, ...frames] of this.#router) {
      this.#peer = peer;
      for (const { message } of decode(frames, workerMessageSchema)) {
        if (message.type === 'heartbeat') this.#heartbeats++;
        if (message.type !== 'hello') continue;
        this.#hellos++;
        this.#leases = message.leases;
      }
    }
  }

  async #collect(): Promise<void> {
    for await (const frames of this.#pull) {
      for (const { message, parts } of decode(frames, replyMessageSchema)) {
        if (message.type !== 'outcome') continue;
        const text = Buffer.from(parts[0] ?? NOTHING).toString();
        if (message.lease.startsWith('canary '))
          this.#results.set(message.callNum, message.error?.message ?? text);
      }
    }
  }

  /** Serves the canary's code, and no other. */
  async #serve(): Promise<void> {
    for await (const [peer, ...frames] of this.#bundles) {
      if (peer === undefined) continue;
      this.#bundlePeers = new Set([...this.#bundlePeers, peer.toString('latin1')].slice(-4));
      for (const { message } of decodeFetches(frames)) {
        const { sha256, offset, length } = message;
        const found = sha256 === bundle.sha256;
        const chunk = { type: 'chunk', sha256, offset, size: found ? bundle.size : 0, found };
        const parts = found ? [archive.subarray(offset, offset + length)] : [];
        const [head, body] = encode([{ message: chunk, parts }]);
        await this.#send(this.#bundles, peer, [Buffer.from(head), Buffer.from(body)]);
      }
    }
  }

  /** One after the other, for sends that overlap throw. A peer that is not there any more, or does not listen, hears nothing. */
  async #send(router: Router, peer: Buffer, frames: Buffer[]): Promise<void> {
    this.#sending = this.#sending
      .then(() => router.send([peer, ...frames]))
      .catch((error: unknown) => {
        if (!(error instanceof Error && 'code' in error && NOT_HEARD.includes(String(error.code))))
          throw error;
      });
    await this.#sending;
  }
}

const decodeFetches = (frames: Buffer[]) => {
  try {
    return decode(frames, bundleRequestSchema);
  } catch {
    // A claim: nobody answers it here.
    return [];
  }
};

import { readConfig } from '@panal/protocol';
import { pino, type Logger } from 'pino';
import { startBroker, type RunningBroker } from '../../broker/src/broker.js';
import type { Worker } from '../../worker/src/execution/worker.js';
import { tarGz } from '../../testkit/archives.js';
import { FakeDriver } from './fake-sandbox.js';
import { quietWorker } from './quiet-worker.js';
import { temporaryFolder } from './folder.js';
import { freePorts } from '../../testkit/ports.js';
import { ScriptedWorker } from './scripted-worker.js';
import { brokerAt } from './transport.js';

/** A whole broker in this process, with workers over real ZeroMQ that a test scripts, or whose sandboxes are fakes. */
export class LiveBroker {
  readonly url: string;
  readonly #broker: RunningBroker;
  readonly #scripted: ScriptedWorker[] = [];
  readonly #workers: Worker[] = [];

  private constructor(broker: RunningBroker) {
    this.url = broker.url;
    this.#broker = broker;
  }

  static async start(
    folder: string,
    settings: Record<string, string> = {},
    log: Logger = pino({ level: 'silent' }),
  ): Promise<LiveBroker> {
    const config = readConfig({
      PORT: '0',
      ZMQ_BIND_ADDRESS: `tcp://127.0.0.1:${await freePorts()}`,
      FAAS_DATA_DIR: folder,
      FAAS_DURABILITY: 'os',
      FAAS_GRACE_MS: '0',
      FAAS_LEASE_MS: '60000',
      ...settings,
    });
    return new LiveBroker(await startBroker(config, log));
  }

  /** A scripted worker that has joined, all its mini-workers idle. */
  async scripted(slots = 1): Promise<ScriptedWorker> {
    const worker = new ScriptedWorker(`scripted-${this.#scripted.length}`, this.#broker.dispatchPort);
    this.#scripted.push(worker);
    await worker.join({ slots });
    worker.say(...Array.from({ length: slots }, (_, slot) => ({ type: 'ready' as const, slot })));
    return worker;
  }

  /** A real worker with fake sandboxes. */
  async worker(slots = 2): Promise<FakeDriver> {
    const driver = new FakeDriver();
    const worker = await quietWorker(driver, [brokerAt(this.#broker.dispatchPort)], {
      id: `worker-${this.#workers.length}`,
      slots,
      budget: { sandboxes: 100, memoryMb: 100_000 },
      link: { heartbeatMs: 1000, leaseMs: 60_000 },
    });
    this.#workers.push(worker);
    worker.start();
    return driver;
  }

  /** Registers the next version of a function on the bundled Python runtime; `text` makes its code differ. */
  async register(name: string, settings: Record<string, string> = {}, text = ''): Promise<number> {
    const form = new FormData();
    for (const [field, value] of Object.entries(settings)) form.set(field, value);
    const archive = tarGz([{ name: 'test.py', content: text }]);
    form.set('module', new Blob([new Uint8Array(archive)]), 'module.tar.gz');
    const path = `/registerFunction/pythonruntime/${name}`;
    const answer = await fetch(this.url + path, { method: 'POST', body: form });
    return ((await answer.json()) as { version: number }).version;
  }

  /** Starts a call; resolves with its number. */
  async invoke(funcName: string, params: unknown = null): Promise<number> {
    const body = JSON.stringify({ funcName, params });
    const answer = await fetch(`${this.url}/invokeFunction`, { method: 'POST', body });
    return ((await answer.json()) as { callNum: number }).callNum;
  }

  async call(callNum: number): Promise<Record<string, unknown>> {
    return (await (await fetch(`${this.url}/call/${callNum}`)).json()) as Record<string, unknown>;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop(0)));
    for (const worker of this.#scripted) worker.close();
    await this.#broker.stop();
  }
}

/** Gives a broker of its own to each test of the group it is called in, and stops it afterwards. */
export function liveBroker(settings: Record<string, string> = {}): () => LiveBroker {
  const folder = temporaryFolder();
  let broker: LiveBroker | undefined;
  beforeEach(async () => {
    broker = await LiveBroker.start(folder(), settings);
  });
  afterEach(async () => {
    await broker?.stop();
  });
  return () => {
    if (broker === undefined) throw new Error('called outside of a test');
    return broker;
  };
}

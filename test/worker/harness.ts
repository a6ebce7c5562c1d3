import type { WorkerKeys } from '@panal/transport/zeromq';
import { pino } from 'pino';
import { Worker, type WorkerOptions } from '../../worker/src/execution/worker.js';
import { NoPreload } from '../../worker/src/pool/preload.js';
import { FakeDriver } from '../support/fake-sandbox.js';
import { brokerAt } from '../support/transport.js';
import { ScriptedBroker, type ScriptedBrokerOptions } from '../support/scripted-broker.js';

/** A worker with a fake driver, and the broker it talks to. */
export interface Pair {
  broker: ScriptedBroker;
  driver: FakeDriver;
  worker: Worker;
  failures: Error[];
}

export interface PairOptions {
  worker?: Partial<Omit<WorkerOptions, 'brokers'>>;
  /** The worker's CURVE keys. */
  keys?: WorkerKeys;
  broker?: ScriptedBrokerOptions;
}

/** Starts pairs for the tests of the group it is called in, and stops them afterwards. */
export function pairs(): (options?: PairOptions) => Promise<Pair> {
  const cleanups: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });
  return async (options = {}) => {
    const broker = await ScriptedBroker.open(options.broker);
    const driver = new FakeDriver();
    const failures: Error[] = [];
    const link = { heartbeatMs: 50, leaseMs: 500 };
    const worker = new Worker({
      id: 'worker-1',
      slots: 2,
      memoryMb: 100_000,
      driver,
      info: await driver.open(),
      policy: new NoPreload(),
      budget: { sandboxes: 10, memoryMb: 10_000 },
      parallelStarts: 2,
      maxOutput: 1000,
      maxLogs: 1000,

      onWelcome: () => undefined,
      onFailure: (error) => failures.push(error),
      log: pino({ level: 'silent' }),
      ...options.worker,
      brokers: [brokerAt(broker.ports.dispatchPort, options.keys)],
      link: { ...link, ...options.worker?.link },
    });
    cleanups.push(async () => broker.close());
    cleanups.push(async () => worker.stop(0));
    worker.start();
    return { broker, driver, worker, failures };
  };
}

import type { WorkerKeys } from '@panal/transport/zeromq';
import type { Worker, WorkerOptions } from '../../worker/src/execution/worker.js';
import { FakeDriver } from '../support/fake-sandbox.js';
import { quietWorker } from '../support/quiet-worker.js';
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
    const worker = await quietWorker(driver, [brokerAt(broker.ports.dispatchPort, options.keys)], {
      onFailure: (error) => failures.push(error),
      ...options.worker,
    });
    cleanups.push(async () => broker.close());
    cleanups.push(async () => worker.stop(0));
    worker.start();
    return { broker, driver, worker, failures };
  };
}

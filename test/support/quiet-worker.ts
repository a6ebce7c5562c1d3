import type { WorkerTransport } from '@panal/transport';
import { pino } from 'pino';
import { Worker, type WorkerOptions } from '../../worker/src/execution/worker.js';
import { NoPreload } from '../../worker/src/pool/preload.js';
import type { FakeDriver } from './fake-sandbox.js';

/** A worker that starts nothing ahead of calls and logs nothing; it is not started yet. */
export async function quietWorker(
  driver: FakeDriver,
  brokers: readonly WorkerTransport[],
  options: Partial<Omit<WorkerOptions, 'brokers' | 'driver'>> = {},
): Promise<Worker> {
  return new Worker({
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
    brokers,
    onWelcome: () => undefined,
    onFailure: (error) => {
      throw error;
    },
    log: pino({ level: 'silent' }),
    ...options,
    link: { heartbeatMs: 50, leaseMs: 500, ...options.link },
  });
}

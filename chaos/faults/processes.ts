import { LEASE_MS } from '../cluster.js';
import { setTimeout as pause } from 'node:timers/promises';
import type { Fault } from './fault.js';

const always = (): boolean => true;

/** Faults of the processes of Panal itself. */
export const PROCESS_FAULTS: readonly Fault[] = [
  {
    kind: 'broker killed',
    possible: always,
    async make({ broker }, random) {
      await broker.kill();
      const ms = random.int(0, 500);
      await pause(ms);
      broker.start();
      return `down for ${ms} ms`;
    },
  },
  {
    kind: 'worker killed',
    possible: always,
    async make({ workers }, random) {
      const { process: worker } = random.pick(workers);
      await worker.kill();
      const ms = random.int(0, 2 * LEASE_MS);
      await pause(ms);
      worker.start();
      return `${worker.name} down for ${ms} ms`;
    },
  },
  {
    kind: 'every worker killed',
    possible: always,
    async make({ workers }) {
      await Promise.all(workers.map(({ process: worker }) => worker.kill()));
      for (const { process: worker } of workers) worker.start();
      return 'all at once';
    },
  },
  {
    kind: 'broker frozen',
    possible: always,
    async make({ broker }, random) {
      const ms = LEASE_MS + random.int(200, 1500);
      broker.signal('SIGSTOP');
      await pause(ms);
      broker.signal('SIGCONT');
      return `for ${ms} ms`;
    },
  },
  {
    kind: 'worker frozen',
    possible: always,
    async make({ workers }, random) {
      const { process: worker } = random.pick(workers);
      const ms = LEASE_MS + random.int(500, 2000);
      worker.signal('SIGSTOP');
      await pause(ms);
      worker.signal('SIGCONT');
      return `${worker.name} for ${ms} ms`;
    },
  },
  {
    kind: 'broker restarted',
    possible: always,
    async make({ broker }) {
      await broker.stop();
      broker.start();
      return 'by SIGTERM';
    },
  },
  {
    kind: 'worker restarted',
    possible: always,
    async make({ workers }, random) {
      const { process: worker } = random.pick(workers);
      await worker.stop();
      worker.start();
      return `${worker.name} by SIGTERM`;
    },
  },
];

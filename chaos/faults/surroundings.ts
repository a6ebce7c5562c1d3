import { LEASE_MS } from '../cluster.js';
import { setTimeout as pause } from 'node:timers/promises';
import type { Fault } from './fault.js';

/** Faults of what Panal runs on: network, disks, clock, engine. */
export const SURROUNDING_FAULTS: readonly Fault[] = [
  {
    kind: 'network cut',
    possible: ({ options }) => options.machine.namespaces,
    async make({ workers }, random) {
      const { host, process: worker } = random.pick(workers);
      const ms = random.int(100, 3 * LEASE_MS);
      host?.cut();
      await pause(ms);
      host?.heal();
      return `${worker.name} for ${ms} ms`;
    },
  },
  {
    kind: "broker's disk full",
    possible: ({ storeDisk }) => storeDisk !== undefined,
    async make({ storeDisk }, random) {
      const ms = random.int(500, 2500);
      await storeDisk?.fill();
      await pause(ms);
      await storeDisk?.free();
      return `for ${ms} ms`;
    },
  },
  {
    kind: 'power cut',
    losesPower: true,
    possible: ({ storeDisk }) => storeDisk?.losesPower === true,
    async make({ broker, storeDisk }, random) {
      await broker.kill();
      await storeDisk?.cutPower();
      const ms = random.int(0, 300);
      await pause(ms);
      broker.start();
      return `of the broker, down for ${ms} ms more`;
    },
  },
  {
    kind: "worker's disk full",
    possible: ({ workers }) => workers.some(({ disk }) => disk !== undefined),
    async make({ workers }, random) {
      const { disk, process: worker } = random.pick(workers);
      const ms = random.int(500, 2500);
      await disk?.fill();
      // What it has in memory still serves; one that starts anew needs its disk.
      const restarts = random.next() < 0.5;
      if (restarts) await worker.kill();
      if (restarts) worker.start();
      await pause(ms);
      await disk?.free();
      if (restarts && !worker.alive) worker.start();
      return `${worker.name} for ${ms} ms${restarts ? ', killed meanwhile' : ''}`;
    },
  },
  {
    kind: "broker's clock set",
    possible: ({ clock }) => clock.canJump,
    async make({ clock }, random) {
      const seconds = random.int(-7200, 7200);
      await clock.set(seconds);
      // Until the library has noticed.
      await pause(1200);
      return `${seconds} s off`;
    },
  },
  {
    kind: 'engine killed',
    possible: ({ options }) => options.engine !== undefined,
    async make({ options: { engine } }, random) {
      const ms = random.int(0, 1500);
      await engine?.kill();
      await pause(ms);
      await engine?.start();
      return `down for ${ms} ms`;
    },
  },
];

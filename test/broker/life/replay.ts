import { eventually } from '../../../testkit/wait.js';
import { observation } from './explore.js';
import { WORKERS } from './model.js';
import type { RealWorld } from './real-world.js';

/** A generator of numbers from 0, included, to 1, excluded, that `seed` determines (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Act {
  name: string;
  fault: boolean;
  do: (world: RealWorld) => Promise<void> | void;
}

const ACTS: readonly Act[] = [
  ...WORKERS.flatMap((worker): Act[] => [
    { name: `deliver ${worker}`, fault: false, do: (world) => world.deliver(worker) },
    { name: `end ${worker}`, fault: false, do: (world) => world.end(worker) },
    { name: `report ${worker}`, fault: false, do: (world) => world.report(worker) },
    { name: `greet ${worker}`, fault: false, do: (world) => world.greet(worker) },
    { name: `cut ${worker}`, fault: true, do: (world) => world.cut(worker) },
    { name: `kill ${worker}`, fault: true, do: (world) => world.kill(worker) },
    { name: `lose ${worker}`, fault: true, do: (world) => world.lose(worker) },
  ]),
  { name: 'broker dies', fault: true, do: (world) => world.stopBroker() },
];
const CANCEL: Act = { name: 'cancel', fault: false, do: (world) => world.cancel() };
const PUT_BACK: Act = { name: 'put back', fault: false, do: (world) => world.putBack() };
const START: Act = { name: 'broker starts', fault: false, do: (world) => world.startBroker() };

/** Does one thing after the other at random, then heals everything. Gives what was seen after each, and what was done. */
export async function playAtRandom(
  world: RealWorld,
  seed: number,
  { steps, faults }: { steps: number; faults: number },
): Promise<{ done: string[]; seen: string[] }> {
  const random = randomFrom(seed);
  const done = ['accept'];
  const seen: string[] = [];
  let left = faults;
  await world.accept(random() < 0.5);
  for (let step = 0; step < steps; step++) {
    const act = choose(world, random, left > 0, step);
    if (act.fault) left--;
    await act.do(world);
    done.push(act.name);
    const { stored, live } = await world.look();
    seen.push(observation({ up: world.isUp, stored: stored ?? null, said: live ?? null }));
    if (live?.status === 'DEAD' && world.putBacks === 0 && random() < 0.5) {
      await PUT_BACK.do(world);
      done.push(PUT_BACK.name);
    }
  }
  await heal(world, done);
  return { done, seen };
}

function choose(world: RealWorld, random: () => number, mayFail: boolean, step: number): Act {
  if (!world.isUp) return START;
  if (step > 4 && random() < 0.02) return CANCEL;
  const fault = mayFail && random() < 0.2;
  const acts = ACTS.filter((act) => act.fault === fault);
  return acts[Math.floor(random() * acts.length)] ?? START;
}

/** Ends all faults, and lets everything take its course until the call has ended. */
async function heal(world: RealWorld, done: readonly string[]): Promise<void> {
  await world.startBroker();
  await eventually(`the call ends after: ${done.join(' · ')}`, async () => {
    for (const worker of WORKERS) {
      world.greet(worker);
      world.deliver(worker);
      world.end(worker);
      world.report(worker);
    }
    const { live } = await world.look();
    // It was lost with its broker before it was stored, and so never accepted.
    if (live === undefined) return true;
    return live.status !== 'PENDING' && live.status !== 'RUNNING';
  });
}

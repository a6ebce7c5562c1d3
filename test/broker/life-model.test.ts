import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryFolder } from '../support/folder.js';
import { runtimeSpec, versionOf } from '../support/specs.js';
import { explore, type Explored } from './life/explore.js';
import type { Weakness } from './life/model.js';
import { RealWorld } from './life/real-world.js';
import { playAtRandom } from './life/replay.js';

const BOUNDS = { faults: 2, calls: 2, messages: 1 };
/** Runs of the real broker, and what each does. */
const RUNS = 60;
const PLAY = { steps: 30, faults: 2 };

describe('The life of a call, as a model', function () {
  // Some hundred thousand states.
  this.timeout(180_000);
  let explored: Explored;

  before(() => {
    explored = explore(BOUNDS);
  });

  it('keeps every invariant in every state', () => {
    const { states, violation } = explored;
    expect(violation?.path.join(' · '), violation?.invariant).to.equal(undefined);
    expect(states).to.be.greaterThan(100_000);
  });

  it('can come to its end from every state, once the faults are over', () => {
    expect(explored.stuck.map((path) => path.join(' · '))).to.deep.equal([]);
  });

  const weaknesses: [keyof Weakness, string][] = [
    ['tellsTooEarly', 'accepted means stored'],
    ['settlesAnyLease', 'the current attempt settles'],
    ['claimsByNumber', 'no result of another call'],
    ['countsAnew', 'no two attempts of one name'],
    ['believesStopped', 'cancelled only where asked for'],
  ];
  for (const [weakness, invariant] of weaknesses) {
    it(`would notice a broker that ${weakness}`, () => {
      expect(explore(BOUNDS, { [weakness]: true }).violation?.invariant).to.equal(invariant);
    });
  }

  describe('and the real broker', () => {
    const folder = temporaryFolder();

    it('does nothing that the model does not, and brings every call to its end', async () => {
      const version = versionOf(runtimeSpec('dice'));
      for (let seed = 1; seed <= RUNS; seed++) {
        const world = await RealWorld.start(join(folder(), String(seed)), version);
        const { done, seen } = await playAtRandom(world, seed, PLAY);
        const { stored } = await world.look();
        const story = `seed ${seed}: ${done.join(' · ')}`;
        for (const each of seen) expect(explored.seen.has(each), `${each} after ${story}`).to.equal(true);
        expect(world.settles, story).to.be.at.most(1 + world.putBacks);
        if (world.told !== null && world.told !== 'PENDING')
          expect(stored?.status, story).to.equal(world.told);
        await world.close();
      }
    });
  });
});

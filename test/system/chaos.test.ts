import { expect } from 'chai';
import { chaos } from '../../chaos/run.js';
import { withEngine } from '../support/groups.js';

/** A few faults of `npm run chaos`, in an order of their own: what breaks can be broken again with the seed. */
const SEED = 20_261_121;

async function itKeepsItsPromises(options: {
  driver: 'process' | 'docker';
  faults: number;
  kinds?: readonly string[];
}): Promise<void> {
  const said: string[] = [];
  const figures = await chaos({ seed: SEED, ownEngine: false, ...options, say: (line) => said.push(line) });
  const { findings, calls } = figures.audit;
  expect(findings, said.join('\n')).to.deep.equal({ lost: [], settledTwice: [], doubled: [], other: [] });
  expect([...figures.kinds.values()].reduce((sum, { made }) => sum + made, 0)).to.equal(options.faults);
  expect(calls).to.be.greaterThan(10 * options.faults);
}

describe('A cluster under faults keeps every promise', () => {
  it('with functions in processes', async function () {
    this.timeout(180_000);
    await itKeepsItsPromises({ driver: 'process', faults: 8 });
  });
});

withEngine('A cluster under faults keeps every promise', () => {
  it('with functions in containers', async function () {
    this.timeout(180_000);
    const kinds = ['container killed', 'worker killed', 'broker killed'];
    await itKeepsItsPromises({ driver: 'docker', faults: 3, kinds });
  });
});

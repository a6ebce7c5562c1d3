import { expect } from 'chai';
import { Outbox, type Letter } from '../../worker/src/link/outbox.js';
import { anOutcome } from '../support/outcomes.js';

const letter = (callNum: number): Letter => ({ outcome: anOutcome(callNum), parts: [] });

const numbers = (letters: Letter[]): number[] => letters.map(({ outcome }) => outcome.callNum);

describe('an outbox', () => {
  it('keeps an outcome until it is acknowledged', () => {
    const outbox = new Outbox();
    outbox.put(letter(1), 0);
    outbox.put(letter(2), 0);
    outbox.acknowledge(['lease 1', 'lease 7']);
    expect([...outbox.leases()]).to.deep.equal(['lease 2']);
    expect(outbox.has('lease 1')).to.equal(false);
  });

  it('gives what was not sent for long, the oldest first, and each once in that time', () => {
    const outbox = new Outbox();
    outbox.put(letter(1), 0);
    outbox.put(letter(2), 10);
    outbox.put(letter(3), 90);
    expect(numbers(outbox.stale(80, 100))).to.deep.equal([1, 2]);
    expect(numbers(outbox.stale(80, 101))).to.deep.equal([]);
    expect(numbers(outbox.stale(80, 170))).to.deep.equal([3]);
    expect(numbers(outbox.stale(0, 200))).to.deep.equal([1, 2, 3]);
  });

  it('says when nothing is left', async () => {
    const outbox = new Outbox();
    await outbox.emptied();
    outbox.put(letter(1), 0);
    const emptied = outbox.emptied();
    outbox.acknowledge(['lease 1']);
    await emptied;
  });
});

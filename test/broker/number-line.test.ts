import { expect } from 'chai';
import { NumberLine } from '../../broker/src/calls/number-line.js';

describe('NumberLine', () => {
  const below = (line: NumberLine, before?: number): number[] => [...line.newest(before)];

  it('gives numbers from the largest down, without those that were removed', () => {
    const line = new NumberLine();
    for (const number of [1, 2, 5, 9]) line.add(number);
    line.delete(5);
    expect([below(line), below(line, 9), below(line, 2), below(line, 1)]).to.deep.equal([
      [9, 2, 1],
      [2, 1],
      [1],
      [],
    ]);
    expect(line.size).to.equal(3);
  });

  it('takes numbers again, and in between', () => {
    const line = new NumberLine();
    for (const number of [1, 5, 9]) line.add(number);
    line.delete(5);
    for (const number of [5, 3, 3]) line.add(number);
    expect(below(line)).to.deep.equal([9, 5, 3, 1]);
  });

  it('holds as a set does, whatever is added and removed', () => {
    const line = new NumberLine();
    const set = new Set<number>();
    let seed = 7;
    for (let step = 0; step < 20_000; step++) {
      seed = (seed * 48_271) % 2_147_483_647;
      const number = seed % 500;
      if (seed % 3 === 0) {
        line.delete(number);
        set.delete(number);
      } else {
        line.add(number);
        set.add(number);
      }
    }
    expect(below(line)).to.deep.equal([...set].sort((a, b) => b - a));
  });
});

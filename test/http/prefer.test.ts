import { expect } from 'chai';
import { preferredWait } from '../../broker/src/http/prefer.js';

describe('the Prefer header', () => {
  const cases: [header: string, seconds: number | undefined][] = [
    ['wait=30', 30],
    ['WAIT=30', 30],
    ['wait = 30', 30],
    ['wait="30"', 30],
    ['wait="3\\0"', 30],
    ['respond-async, wait=10', 10],
    ['return=minimal; x="a,b; wait=1"; y , , wait=7;note', 7],
    ['wait=1, wait=2', 1],
    ['wait=0', 0],
    ['wait=99999999999', 3600],
    ['', undefined],
    ['wait', undefined],
    ['wait=', undefined],
    ['wait=""', undefined],
    ['wait=-1', undefined],
    ['wait=1.5', undefined],
    ['wait=soon, wait=5', undefined],
    ['"wait=5"', undefined],
    ['waiting=5', undefined],
    ['a="wait=5', undefined],
    [', ,', undefined],
  ];
  for (const [header, seconds] of cases) {
    it(`${JSON.stringify(header)} asks for ${seconds === undefined ? 'no wait' : `${seconds} s`}`, () => {
      expect(preferredWait(header)).to.equal(seconds);
    });
  }

  it('is read as fast when it is meant to be slow', () => {
    for (const part of [' ', ';', '; ', ' ;', 'a=', '"', '\\', 'a;a=a ', '="']) {
      const before = performance.now();
      preferredWait(`a;${part.repeat(16_000 / part.length)}!"`);
      expect(performance.now() - before, JSON.stringify(part)).to.be.below(100);
    }
  });
});

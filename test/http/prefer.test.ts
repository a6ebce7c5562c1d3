import { expect } from 'chai';
import { preferredWait } from '../../broker/src/http/calls/prefer.js';
import { processorMs } from '../support/processor-time.js';

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

  it('that is meant to be slow costs as much to read as its length in short ones', async () => {
    for (const part of [' ', ';', '; ', ' ;', 'a=', '"', '\\', 'a;a=a ', '="']) {
      const header = (length: number): string => `a;${part.repeat(length / part.length)}!"`;
      const [long, short] = [header(64_000), header(1000)];
      const atOnce = await processorMs(() => preferredWait(long));
      const inParts = await processorMs(() => {
        for (let n = 0; n < 64; n++) preferredWait(short);
      });
      // What grows with the square of the length is 64 times as much.
      expect(atOnce / inParts, JSON.stringify(part)).to.be.below(8);
    }
  });
});

import { expect } from 'chai';
import { decodeCall, encodeCall } from '../../db/src/call-codec.js';
import { aCall, EVERY_BYTE, plain, settled } from './samples.js';

const call = settled(aCall(1), { params: EVERY_BYTE, result: EVERY_BYTE, logs: new Uint8Array([1, 2, 3]) });

describe('a stored call', () => {
  it('holds its bytes as they are', () => {
    expect(encodeCall(call).includes(Buffer.from(EVERY_BYTE))).to.equal(true);
    expect(encodeCall({ ...call, params: new Uint8Array(1000) }).byteLength).to.be.lessThan(2000);
  });

  it('is read from the middle of a larger buffer', () => {
    const bytes = Buffer.concat([Buffer.from('before'), encodeCall(call), Buffer.from('after')]);
    expect(plain(decodeCall(bytes.subarray(6, -5)))).to.deep.equal(call);
  });

  it('tells an empty result from none', () => {
    expect(decodeCall(encodeCall(aCall(1)))).not.to.have.property('result');
    expect(decodeCall(encodeCall(aCall(1, { result: new Uint8Array(0) }))).result).to.have.length(0);
  });

  it('is refused when it is cut short, too long, or of another layout', () => {
    const bytes = encodeCall(call);
    for (let length = 0; length < bytes.byteLength; length++) {
      expect(() => decodeCall(bytes.subarray(0, length)), `first ${length} bytes`).to.throw();
    }
    expect(() => decodeCall(Buffer.concat([bytes, Buffer.from('x')]))).to.throw();
    expect(() => decodeCall(Buffer.concat([Buffer.from([9]), bytes.subarray(1)]))).to.throw();
  });
});

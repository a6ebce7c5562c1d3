import { expect } from 'chai';
import { Tail } from '../../worker/src/output/tail.js';
import { Output } from '../../worker/src/contracts/output.js';
import { text } from './requests.js';

/** Characters of one to four bytes. */
const TEXT = 'aé€𝄞';

describe('text that is cut', () => {
  it('ends with a whole character, wherever it is cut and however it comes', () => {
    const bytes = Buffer.from(TEXT.repeat(3));
    for (let maxLogs = 1; maxLogs < bytes.length; maxLogs++) {
      for (const size of [1, 2, 3, 5, bytes.length]) {
        const pieces: string[] = [];
        const output = new Output({ maxOutput: 0, maxLogs, onLog: (piece) => pieces.push(text(piece)) });
        for (let at = 0; at < bytes.length; at += size) output.addLogs(bytes.subarray(at, at + size));
        const [kept, marker] = text(output.logs).split('\n');
        expect(TEXT.repeat(3).startsWith(kept ?? '?'), `${kept ?? ''} at ${maxLogs}`).to.equal(true);
        expect(Buffer.byteLength(kept ?? '')).to.be.within(maxLogs - 3, maxLogs);
        expect(marker).to.equal(`[logs cut at ${maxLogs} bytes (FAAS_MAX_LOGS)]`);
        expect(pieces.join('')).to.equal(text(output.logs));
      }
    }
  });

  it('keeps every byte that is no text', () => {
    const bytes = Buffer.from([0xff, 0xe2, 0x82, 0x41, 0x80, 0x80, 0x80, 0x80, 0xf0, 0x9d]);
    const output = new Output({ maxOutput: 0, maxLogs: 100 });
    for (const byte of bytes) output.addLogs(Uint8Array.of(byte));
    expect(bytes.equals(output.logs)).to.equal(true);
  });

  it('begins with a whole character if its end is kept', () => {
    const bytes = Buffer.from(TEXT.repeat(3));
    for (let limit = 4; limit < bytes.length; limit++) {
      const tail = new Tail(limit);
      for (const byte of bytes) tail.add(Uint8Array.of(byte));
      const [, kept = '?'] = text(tail.bytes).split('\n');
      expect(TEXT.repeat(3).endsWith(kept), kept).to.equal(true);
    }
  });
});

import { expect } from 'chai';
import { LevelStore } from '@panal/db';
import { encodeCall } from '../../db/src/call-codec.js';
import { levelDatabase, openDatabase } from '../../db/src/database.js';
import { keyOf } from '../../db/src/keys.js';
import { countedDatabase, type Reads } from '../support/counted-database.js';
import { temporaryFolder } from '../support/folder.js';
import { aCall } from './samples.js';

const KiB = 1024;
const CALLS = 200;
const PARAMS = Buffer.alloc(256 * KiB, 'x');
/** Where a record has the length of its parameter: behind its layout and the length of its head. */
const LENGTH_AT = 5;

/** A record as an earlier Panal wrote it, with a long parameter in it. */
function earlierRecord(callNum: number): Buffer {
  const record = encodeCall({ ...aCall(callNum), params: new Uint8Array(0) });
  record.writeUInt32BE(PARAMS.byteLength, LENGTH_AT);
  return Buffer.concat([record, PARAMS]);
}

describe('Calls that an earlier Panal left', () => {
  const folder = temporaryFolder();

  it('are read in pages of bounded bytes, each of them once and in order', async () => {
    const numbers = Array.from({ length: CALLS }, (_, index) => index + 1);
    const before = new LevelStore(folder(), { durability: 'os' });
    await before.open();
    await Promise.all(numbers.map((callNum) => before.calls.acceptCall(aCall(callNum))));
    await before.close();
    const database = levelDatabase(folder());
    await openDatabase(database);
    for (const callNum of numbers)
      await database.put(keyOf('call', aCall(callNum).owner, callNum), earlierRecord(callNum));
    await database.close();

    const reads: Reads = { bytes: 0 };
    const store = new LevelStore(folder(), { durability: 'os', database: countedDatabase(reads) });
    await store.open();
    try {
      reads.bytes = 0;
      const seen: number[] = [];
      for await (const { callNum, params } of store.calls.unsettledCalls()) {
        // This page, and the next one.
        if (seen.length === 0) expect(reads.bytes).to.be.below((CALLS * PARAMS.byteLength) / 4);
        expect(params.byteLength).to.equal(PARAMS.byteLength);
        seen.push(callNum);
      }
      expect(seen).to.deep.equal(numbers);
    } finally {
      await store.close();
    }
  });
});

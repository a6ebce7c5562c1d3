import { CALL_FIELDS, callSchema, storedCallFields } from '@panal/api';
import { expect } from 'chai';
import { callJson } from '../../broker/src/http/calls/call-json.js';
import { decodeCall, encodeCall } from '../../db/src/call-codec.js';
import { aCall, settled } from '../db/samples.js';

describe('A field of a call that is declared once', () => {
  const call = settled(aCall(7), {
    exitCode: 3,
    worker: 'w',
    start: 'hot',
    preloaded: true,
    timings: { queued: 1, prepare: 2, run: 3, total: 6 },
    putBack: { at: 1, attempts: 2 },
  });
  const names = Object.keys(storedCallFields) as (keyof typeof storedCallFields)[];

  it('is stored, and is in the JSON that clients get', () => {
    const stored = decodeCall(encodeCall(call));
    const shown = callSchema.parse(JSON.parse(callJson(stored)));
    for (const name of names) {
      expect(call[name], `${name} of the sample`).not.to.equal(undefined);
      expect(stored[name], `${name} in the record`).to.deep.equal(call[name]);
      expect(shown[name], `${name} in the JSON`).to.deep.equal(call[name]);
    }
  });

  it('stands in the JSON in the order of the schema', () => {
    const shown = Object.keys(JSON.parse(callJson(call)) as object);
    expect(shown).to.deep.equal(CALL_FIELDS.filter((field) => shown.includes(field)));
  });
});

import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { pino, type Level } from 'pino';
import type { CallRecord } from '@panal/db';
import { callLog } from '../../broker/src/calls/call-log.js';
import { NOBODY_COUNTS } from '../../broker/src/calls/call-observer.js';
import { imageSpec } from '../support/specs.js';

const record: CallRecord = {
  callNum: 7,
  owner: 'ana',
  funcName: 'dice',
  version: 3,
  functionId: 'id-dice',
  input: 'none',
  params: new Uint8Array(0),
  status: 'DONE',
  attempts: 1,
  acceptedAt: 0,
  start: 'hot',
  timings: { queued: 1, prepare: 2, run: 3, total: 6 },
};
const version = { spec: imageSpec('dice'), settings: {}, createdAt: 0 };

describe("The broker's log of calls", () => {
  /** What is logged of this call, a line each. */
  function logged(level: Level, fields: Partial<CallRecord>): Record<string, unknown>[] {
    const sink = new PassThrough();
    callLog(pino({ level }, sink), NOBODY_COUNTS).settled({ ...record, ...fields }, version);
    const lines = String(sink.read() ?? '').split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  it('has one line for each call at debug, and none of those that are DONE above it', () => {
    const [line, ...more] = logged('debug', {});
    expect(more).to.deep.equal([]);
    const { timings } = record;
    expect(line).to.deep.include({ call: 7, function: 'dice', version: 3, owner: 'ana', status: 'DONE' });
    expect(line).to.deep.include({ start: 'hot', timings });
    expect(logged('info', {})).to.deep.equal([]);
  });

  it('names the function whose code failed, in one line without a stack', () => {
    const error = { code: 'FUNCTION_FAILED', message: 'exited with code 1' } as const;
    const [line, ...more] = logged('info', { status: 'FAILED', error });
    expect(more).to.deep.equal([]);
    expect(line).to.include({
      call: 7,
      function: 'dice',
      owner: 'ana',
      code: error.code,
      error: error.message,
    });
    expect(line).not.to.have.property('err');
  });
});

import { join } from 'node:path';
import { LevelStore } from '@panal/db';
import { expect } from 'chai';
import { pino } from 'pino';
import { KeyedCalls } from '../../broker/src/calls/keyed-calls.js';
import { aCall } from '../db/samples.js';
import { temporaryFolder } from '../support/folder.js';

/** More than are forgotten at once. */
const KEYS = 2500;
const DAY_MS = 24 * 3600 * 1000;

describe('Expired idempotency keys', () => {
  const folder = temporaryFolder();

  it('are left to the next broker if this one stops, and no store is asked that is closed', async () => {
    const store = new LevelStore(join(folder(), 'store'), { durability: 'os' });
    await store.open();
    const numbers = Array.from({ length: KEYS }, (_, index) => index + 1);
    await Promise.all(
      numbers.map((callNum) =>
        store.calls.acceptCall(aCall(callNum, { acceptedAt: callNum }), {
          key: { name: `key ${callNum}`, fingerprint: 'f' },
        }),
      ),
    );
    const logged: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) });
    const keyed = new KeyedCalls({
      store: store.keys,
      getCall: () => Promise.resolve(undefined),
      log,
      now: () => 2 * DAY_MS,
    });
    keyed.start();
    await keyed.stop();
    await store.close();
    expect(logged).to.deep.equal([]);
    await store.open();
    expect(await store.keys.getKeyedCall('ada', `key ${KEYS}`)).to.include({ callNum: KEYS });
    await store.close();
  });
});

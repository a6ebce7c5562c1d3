/**
 * How fast the store accepts and settles calls, beside bare LevelDB batches of the same writes.
 * Run: npx tsx --conditions=@panal/source bench/store.ts
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LevelStore, type CallRecord } from '@panal/db';
import { Level } from 'level';

/** Store and yardstick take turns in short rounds, so that what else the machine does hits both alike. */
const ROUNDS = 7;
const ROUND_MS = 400;
const RECORD_BYTES = 250;
const params = Buffer.from('{"roll":"4d6"}');
const result = Buffer.from('[4,6,4,3]');

function call(callNum: number): CallRecord {
  return {
    callNum,
    owner: 'public',
    funcName: 'dice',
    version: 1,
    functionId: '0198c7a0-0000-7000-8000-000000000000',
    input: 'json',
    params,
    status: 'PENDING',
    attempts: 0,
    acceptedAt: Date.now(),
  };
}

/** Takes `concurrency` calls through their lives, from the number `first`. */
type Life = (first: number, concurrency: number) => Promise<void>;

/** As many clients, each with a call that is accepted and then settled. */
const ofStore = (store: LevelStore): Life => {
  const client = async (callNum: number): Promise<void> => {
    const accepted = call(callNum);
    await store.calls.acceptCall(accepted);
    await store.calls.settleCall({ ...accepted, status: 'DONE', attempts: 1, settledAt: Date.now(), result });
  };
  return async (first, concurrency) => {
    await Promise.all(Array.from({ length: concurrency }, (_, index) => client(first + index)));
  };
};

/** The same writes, encoded beforehand: one batch for all accepts and one for all settles. */
const ofLevel = (database: Level<string, Uint8Array>, sync: boolean): Life => {
  const record = Buffer.alloc(RECORD_BYTES, 'x');
  const entry = Buffer.alloc(0);
  return async (first, concurrency) => {
    const keys = Array.from({ length: concurrency }, (_, index) => String(first + index).padStart(16, '0'));
    const accepts = database.batch();
    for (const key of keys) {
      accepts.put(`call\0public\0${key}`, record);
      accepts.put(`call-by-status\0PENDING\0public\0${key}`, entry);
      accepts.put(`call-by-function\0public\0dice\0PENDING\0${key}`, entry);
    }
    await accepts.write({ sync });
    const settles = database.batch();
    for (const key of keys) {
      settles.put(`call\0public\0${key}`, record);
      settles.put(`call-by-status\0DONE\0public\0${key}`, entry);
      settles.put(`call-by-function\0public\0dice\0DONE\0${key}`, entry);
      settles.del(`call-by-status\0PENDING\0public\0${key}`);
      settles.del(`call-by-function\0public\0dice\0PENDING\0${key}`);
    }
    await settles.write({ sync: false });
  };
};

let calls = 0;

/** Calls per second in one round. */
async function measure(live: Life, concurrency: number): Promise<number> {
  const start = performance.now();
  const first = calls;
  while (performance.now() < start + ROUND_MS) {
    await live(calls + 1, concurrency);
    calls += concurrency;
  }
  return ((calls - first) * 1000) / (performance.now() - start);
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;

for (const sync of [true, false]) {
  const folder = await mkdtemp(join(tmpdir(), 'panal-bench-'));
  const store = new LevelStore(join(folder, 'store'), { durability: sync ? 'fsync' : 'os' });
  const database = new Level<string, Uint8Array>(join(folder, 'bare'), { valueEncoding: 'view' });
  await Promise.all([store.open(), database.open()]);
  for (const concurrency of [1, 16, 64]) {
    const rates: number[] = [];
    const ratios: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const rate = await measure(ofStore(store), concurrency);
      rates.push(rate);
      ratios.push(rate / (await measure(ofLevel(database, sync), concurrency)));
    }
    console.log(
      `${sync ? 'fsync' : 'os   '} ${String(concurrency).padStart(3)} at once ` +
        `${median(rates).toFixed(0).padStart(7)} calls/s, ${median(ratios).toFixed(2)}× bare batches ` +
        `(${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
    );
  }
  await Promise.all([store.close(), database.close()]);
  await rm(folder, { recursive: true });
}

import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { LevelStore, type UserRecord } from '@panal/db';
import type { Outcome } from '@panal/transport';
import { levelDatabase, type Database } from '../../db/src/database.js';
import type { CallObserver } from '../../broker/src/calls/call-observer.js';
import { Calls } from '../../broker/src/calls/calls.js';
import type { LogFollower } from '../../broker/src/calls/log-followers.js';
import type { Job } from '../../broker/src/scheduling/job.js';
import { temporaryFolder } from '../support/folder.js';
import { Gate } from '../support/gate.js';
import { runtimeSpec, versionOf } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';

const password = { N: 2, r: 1, p: 1, salt: '', hash: '' };
const ana = (id: string): UserRecord => ({ name: 'ana', id, password, createdAt: 1 });
const dice = versionOf(runtimeSpec('dice', { owner: 'ana' }));
const input = { kind: 'none' as const, bytes: new Uint8Array(0) };

/** What commits pass before they write: a test may hold them up, or make them fail. */
type BeforeWrite = () => Promise<void> | void;

/** LevelDB whose batches pass `before` first. */
function guarded(location: string, before: BeforeWrite): Database {
  const database = levelDatabase(location);
  const batch = database.batch.bind(database);
  database.batch = ((...args: Parameters<typeof batch>) => {
    const chained = batch(...args);
    const write = chained.write.bind(chained);
    chained.write = async (options?: Parameters<typeof write>[0]) => {
      await before();
      await (options === undefined ? write() : write(options));
    };
    return chained;
  }) as typeof database.batch;
  return database;
}

describe('A user who is deleted while a call settles', () => {
  const folder = temporaryFolder();
  let store: LevelStore;
  let calls: Calls;
  let jobs: Job[];
  let counted: string[];
  let before: BeforeWrite;

  beforeEach(async () => {
    before = () => undefined;
    jobs = [];
    counted = [];
    store = new LevelStore(join(folder(), 'store'), {
      durability: 'os',
      database: (location) => guarded(location, () => before()),
    });
    await store.open();
    await store.users.addUser(ana('first'));
    const observer: CallObserver = {
      accepted: () => counted.push('accepted'),
      retried: () => counted.push('retried'),
      settled: () => counted.push('settled'),
      forgotten: () => counted.push('forgotten'),
    };
    calls = new Calls({
      store,
      dispatch: {
        submit: (job) => void jobs.push(job),
        withdraw: (job) => jobs.includes(job) && jobs.splice(jobs.indexOf(job), 1).length > 0,
        cancel: () => undefined,
        follow: () => undefined,
        support: () => 'all',
        largestMb: () => undefined,
      },
      policy: { attempts: 3, backoffMs: 0 },
      maxQueue: 100,
      recoveryMs: 0,
      observer,
      log: pino({ level: 'silent' }),
    });
    await calls.recover();
  });

  afterEach(async () => {
    await calls.stop();
    await store.close();
  });

  /** A call that runs, with somebody who waits for it, and somebody who follows its logs. */
  async function running(): Promise<{ job: Job; waiting: Promise<string>; told: string[] }> {
    const call = await calls.accept(dice, input, { awaited: false });
    const job = await eventually('a job', () => jobs.shift());
    calls.attempts.started(job, 'w1');
    const told: string[] = [];
    const follower: LogFollower = {
      attempt: (number) => told.push(`attempt ${number}`),
      piece: (bytes) => told.push(Buffer.from(bytes).toString()),
      end: () => told.push('end'),
    };
    await calls.follow('ana', call.callNum, follower);
    const waiting = calls.settled(call, 60_000).then(
      (settled) => settled?.status ?? 'none',
      (error: unknown) => String(error),
    );
    return { job, waiting, told };
  }

  function end(job: Job, fields: Partial<Outcome> = {}): Promise<void> {
    const ids = { type: 'outcome', lease: 'any', callNum: job.callNum, worker: 'w1' } as const;
    const times = { preloaded: false, prepareMs: 1, runMs: 1 };
    const outcome: Outcome = { ...ids, ...times, status: 'DONE', platform: false, ...fields };
    return calls.attempts.ended(job, { outcome, result: Buffer.from('done'), logs: Buffer.from('logs') });
  }

  async function deleteUser(): Promise<void> {
    calls.forgetOwner('ana');
    await store.users.deleteUser('ana');
  }

  async function expectNothingLeft(): Promise<void> {
    expect(calls.unsettled).to.equal(0);
    expect(await store.users.addUser(ana('second'))).to.equal(true);
    expect(await calls.list({ owner: 'ana', limit: 9 })).to.deep.equal([]);
    expect(await calls.get('ana', 1)).to.equal(undefined);
    const unsettled = [];
    for await (const call of store.calls.unsettledCalls()) unsettled.push(call);
    expect(unsettled).to.deep.equal([]);
    expect(jobs).to.deep.equal([]);
  }

  it('leaves nothing of it when its end is just being written', async () => {
    const { job, waiting, told } = await running();
    const gate = new Gate();
    before = () => gate.pass();
    const ended = end(job);
    await eventually('the end is being written', () => gate.arrivals > 0);
    const deleted = deleteUser();
    gate.open();
    await Promise.all([ended, deleted]);
    await expectNothingLeft();
    expect(await waiting).to.contain('the user was deleted');
    expect(told).to.deep.equal(['logs', 'end']);
    expect(counted).to.deep.equal(['accepted', 'forgotten']);
  });

  it('leaves nothing of it when its end cannot be written yet', async () => {
    const { job, waiting } = await running();
    let failures = 0;
    before = () => {
      failures++;
      throw new Error('the disk is full');
    };
    const ended = end(job);
    await eventually('the write failed', () => failures > 0);
    before = () => undefined;
    // The next try is a second away.
    await deleteUser();
    await expectNothingLeft();
    await ended;
    await expectNothing();
    expect(await waiting).to.contain('the user was deleted');
    expect(counted).to.deep.equal(['accepted', 'forgotten']);
  });

  it('leaves nothing of it when another attempt is about to follow', async () => {
    const { job, waiting } = await running();
    const gate = new Gate();
    before = () => gate.pass();
    const error = { code: 'SANDBOX_FAILED', message: 'x' } as const;
    const ended = end(job, { status: 'FAILED', platform: true, error });
    await eventually('that is being written', () => gate.arrivals > 0);
    const deleted = deleteUser();
    gate.open();
    await Promise.all([ended, deleted]);
    await expectNothingLeft();
    expect(await waiting).to.contain('the user was deleted');
    expect(counted).to.deep.equal(['accepted', 'retried', 'forgotten']);
  });

  it('hears no more of it when it ends right after', async () => {
    const { job } = await running();
    await deleteUser();
    await end(job);
    calls.attempts.lost(job, { code: 'WORKER_LOST', message: 'x' });
    await expectNothingLeft();
    expect(counted).to.deep.equal(['accepted', 'forgotten']);
  });

  /** The same as before, the user having been added anew already. */
  async function expectNothing(): Promise<void> {
    expect(await calls.list({ owner: 'ana', limit: 9 })).to.deep.equal([]);
    expect(await calls.get('ana', 1)).to.equal(undefined);
  }
});

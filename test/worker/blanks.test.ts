import type { FunctionSpec } from '@panal/protocol';
import { expect } from 'chai';
import type { Budget } from '../../worker/src/pool/greedy-dual.js';
import { NoPreload } from '../../worker/src/pool/preload.js';
import type { Sandbox } from '../../worker/src/sandbox/sandbox.js';
import { SandboxPool } from '../../worker/src/pool/sandbox-pool.js';
import type { Shelf } from '../../worker/src/pool/shelf.js';
import { FakeDriver, type FakeBlank } from '../support/fake-sandbox.js';
import { Gate } from '../support/gate.js';
import { runtimeSpec } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';

const never = new AbortController().signal;
const KEY = 'runtime:pythonruntime';
const MINUTE = 60_000;

interface Kit {
  pool: SandboxPool;
  driver: FakeDriver;
  holds: Map<string, number>;
  errors: unknown[];
  /** Moves the pool's clock, and lets it look. */
  pass: (ms: number) => void;
  begin: (spec: FunctionSpec, kind?: string, signal?: AbortSignal) => Promise<[Shelf, Sandbox]>;
  /** A whole call. */
  call: (spec: FunctionSpec, kind?: string) => Promise<Sandbox>;
  /** Blanks that are neither removed nor a function's. */
  left: () => FakeBlank[];
  stands: (idle: number) => Promise<unknown>;
}

function kit(budget: Partial<Budget> = {}): Kit {
  const driver = new FakeDriver();
  const holds = new Map<string, number>();
  const errors: unknown[] = [];
  let now = 0;
  const pool = new SandboxPool({
    driver,
    policy: new NoPreload(),
    budget: { sandboxes: 100, memoryMb: 100_000, ...budget },
    parallelStarts: 2,
    onHolds: (key, idle) => holds.set(key, idle),
    onError: (error) => errors.push(error),
    now: () => now,
  });
  const begin: Kit['begin'] = async (spec, blanks = 'python', signal = never) => {
    const shelf = pool.enter(spec);
    return [shelf, pool.take(shelf) ?? (await pool.acquire(shelf, { spec, blanks }, signal))];
  };
  return {
    pool,
    driver,
    holds,
    errors,
    pass: (ms) => {
      now += ms;
      pool.sweep();
    },
    begin,
    call: async (spec, kind) => {
      const [shelf, sandbox] = await begin(spec, kind);
      const { preloaded } = sandbox;
      pool.leave(shelf, sandbox, true);
      sandbox.preloaded = preloaded;
      return sandbox;
    },
    left: () => driver.blanks.filter(({ removed, bound }) => !removed && !bound),
    stands: async (idle) => eventually(`${idle} stand ready`, () => holds.get(KEY) === idle),
  };
}

describe('blank sandboxes in the pool', () => {
  it('are started once a function of their runtime was called, with its limits', async () => {
    const { call, driver, pool, stands } = kit();
    pool.sweep();
    expect(driver.counts.preload).to.equal(0);
    const dice = runtimeSpec('dice', { settings: { memoryMb: 64 } });
    expect((await call(dice)).preloaded).to.equal(false);
    await stands(1);
    expect(driver.blanks.map(({ like }) => like.spec.settings.memoryMb)).to.deep.equal([64]);
  });

  it('serve the first call of another function, and two are kept from then on', async () => {
    const { call, driver, stands } = kit();
    await call(runtimeSpec('dice'));
    await stands(1);
    expect((await call(runtimeSpec('cards'))).preloaded).to.equal(true);
    expect(driver.counts.start).to.equal(1);
    await stands(2);
    expect(driver.counts.preload).to.equal(3);
  });

  it('serve no function of another kind, nor one that can use none', async () => {
    const { call, driver, stands, pool, begin } = kit();
    await call(runtimeSpec('dice'));
    await stands(1);
    expect((await call(runtimeSpec('cards'), 'elsewhere')).preloaded).to.equal(false);
    const spec = runtimeSpec('coins');
    await pool.acquire(pool.enter(spec), { spec }, never);
    expect(driver.counts.bind).to.equal(0);
    expect((await begin(runtimeSpec('stones')))[1].preloaded).to.equal(true);
  });

  it('are passed over where one cannot be bound', async () => {
    const { call, driver, stands, left } = kit();
    await call(runtimeSpec('dice'));
    await stands(1);
    driver.fail('bind', new Error('full disk'));
    const sandbox = await call(runtimeSpec('cards'));
    expect(sandbox.preloaded).to.equal(false);
    expect(driver.counts.start).to.equal(2);
    await stands(2);
    expect(left()).to.have.length(2);
  });

  it('are kept for the function when its call stops meanwhile', async () => {
    const { call, driver, stands, begin, pool, holds } = kit();
    await call(runtimeSpec('dice'));
    await stands(1);
    const [gate, stop, cards] = [new Gate(), new AbortController(), runtimeSpec('cards')];
    driver.next('bind', async () => gate.pass());
    const taken = begin(cards, 'python', stop.signal).catch((reason: unknown) => reason);
    await eventually('it is being bound', () => gate.arrivals === 1);
    stop.abort(new Error('cancelled'));
    gate.open();
    expect(await taken)
      .to.be.instanceOf(Error)
      .with.property('message', 'cancelled');
    pool.sweep();
    pool.announce();
    expect(holds.get(cards.id)).to.equal(1);
  });

  it('take only room that nobody uses, and are the first to go', async () => {
    const { call, driver, stands, left, holds } = kit({ sandboxes: 2 });
    const [dice, cards] = [runtimeSpec('dice'), runtimeSpec('cards')];
    await call(dice);
    await stands(1);
    await call(cards, 'none of these');
    await stands(0);
    expect(left()).to.deep.equal([]);
    expect(driver.sandboxes.every(({ removed }) => !removed)).to.equal(true);
    await call(dice);
    expect(driver.counts.preload).to.equal(1);
    expect(holds.get(KEY)).to.equal(0);
  });

  it('take no more memory than there is', async () => {
    const { call, driver, pool } = kit({ memoryMb: 200 });
    await call(runtimeSpec('dice', { settings: { memoryMb: 128 } }));
    pool.sweep();
    expect(driver.counts.preload).to.equal(0);
  });

  it('are let go when their runtime was not used for ten minutes', async () => {
    const { call, pass, stands, left, driver } = kit();
    const dice = runtimeSpec('dice');
    await call(dice);
    await stands(1);
    pass(6 * MINUTE);
    await call(dice);
    pass(9 * MINUTE);
    expect(left()).to.have.length(1);
    pass(MINUTE);
    await stands(0);
    expect(left()).to.deep.equal([]);
    expect(driver.counts.preload).to.equal(1);
  });

  it('that died, or did not start, are replaced after the next use, not before', async () => {
    const { call, pass, stands, driver, errors } = kit();
    const dice = runtimeSpec('dice');
    await call(dice);
    await stands(1);
    driver.blanks[0]?.die();
    await stands(0);
    pass(MINUTE);
    expect(driver.counts.preload).to.equal(1);
    driver.fail('preload', new Error('no engine'));
    await call(dice);
    await eventually('the start has failed', () => errors.length === 1);
    pass(MINUTE);
    expect(driver.counts.preload).to.equal(2);
    await call(dice);
    await stands(1);
  });

  it('are told of again to a broker that asks', async () => {
    const { call, stands, holds, pool } = kit();
    await call(runtimeSpec('dice'));
    await stands(1);
    holds.clear();
    pool.announce();
    expect(holds.get(KEY)).to.equal(1);
  });

  it('are removed when the pool is closed, also those being started', async () => {
    const { call, driver, pool, begin, stands, left } = kit();
    const gate = new Gate();
    await call(runtimeSpec('dice'));
    await stands(1);
    driver.next('preload', async () => gate.pass());
    await begin(runtimeSpec('cards'));
    pool.sweep();
    await eventually('one is being started', () => gate.arrivals === 1);
    pool.close();
    gate.open();
    await eventually('all starts have ended', () => driver.blanks.length === driver.counts.preload);
    await eventually('none is left', () => left().length === 0);
  });
});

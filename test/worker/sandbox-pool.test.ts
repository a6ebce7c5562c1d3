import { expect } from 'chai';
import type { FunctionSpec } from '@panal/protocol';
import type { Budget } from '../../worker/src/pool/greedy-dual.js';
import { DemandPolicy, NoPreload, type PreloadPolicy } from '../../worker/src/pool/preload.js';
import { PlatformError } from '../../worker/src/errors.js';
import type { Sandbox } from '../../worker/src/sandbox/sandbox.js';
import { SandboxPool } from '../../worker/src/pool/sandbox-pool.js';
import type { Shelf } from '../../worker/src/pool/shelf.js';
import { FakeDriver } from '../support/fake-sandbox.js';
import { Gate } from '../support/gate.js';
import { imageSpec, runtimeSpec } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';

const never = new AbortController().signal;

interface Kit {
  pool: SandboxPool;
  driver: FakeDriver;
  holds: Map<string, number>;
  errors: unknown[];
  /** Moves the pool's clock. */
  pass: (ms: number) => void;
  /** A call from its arrival until it has a sandbox. */
  begin: (spec: FunctionSpec) => Promise<[Shelf, Sandbox]>;
  /** A whole call. */
  call: (spec: FunctionSpec) => Promise<Sandbox>;
}

function kit(
  options: { budget?: Partial<Budget>; policy?: PreloadPolicy; parallelStarts?: number } = {},
): Kit {
  const driver = new FakeDriver();
  const holds = new Map<string, number>();
  const errors: unknown[] = [];
  let now = 0;
  const pool = new SandboxPool({
    driver,
    policy: options.policy ?? new NoPreload(),
    budget: { sandboxes: 100, memoryMb: 100_000, ...options.budget },
    parallelStarts: options.parallelStarts ?? 2,
    onHolds: (functionId, idle) => holds.set(functionId, idle),
    onError: (error) => errors.push(error),
    now: () => now,
  });
  const begin = async (spec: FunctionSpec): Promise<[Shelf, Sandbox]> => {
    const shelf = pool.enter(spec);
    return [shelf, pool.take(shelf) ?? (await pool.acquire(shelf, { spec }, never))];
  };
  return {
    pool,
    driver,
    holds,
    errors,
    pass: (ms) => (now += ms),
    begin,
    call: async (spec) => {
      const [shelf, sandbox] = await begin(spec);
      pool.leave(shelf, sandbox, true);
      return sandbox;
    },
  };
}

const removed = ({ driver }: Kit): string[] =>
  driver.sandboxes.filter((each) => each.removed).map(({ spec }) => spec.name);

describe("a worker's sandbox pool", () => {
  it('gives up the sandboxes of another image than the one that the version was bound to meanwhile', async () => {
    const pools = kit();
    const unbound = imageSpec('dice', { lifecycle: 'warm' });
    const found = { ...unbound, imageDigest: `example/dice@sha256:${'a'.repeat(64)}` };
    const other = { ...unbound, imageDigest: `example/dice@sha256:${'b'.repeat(64)}` };
    const shelf = pools.pool.enter(unbound);
    const first = await pools.pool.acquire(shelf, { spec: found }, never);
    pools.pool.leave(shelf, first, true);
    expect(await pools.call(found), 'of the same image').to.equal(first);
    expect(await pools.call(other)).not.to.equal(first);
    expect(removed(pools)).to.deep.equal(['dice']);
  });

  it('gives the sandbox that was used last', async () => {
    const { begin, pool } = kit();
    const dice = runtimeSpec('dice');
    const [[shelf, first], [, second]] = [await begin(dice), await begin(dice)];
    pool.leave(shelf, first, true);
    pool.leave(shelf, second, true);
    expect(pool.take(shelf)).to.equal(second);
    expect(pool.take(shelf)).to.equal(first);
    expect(pool.take(shelf)).to.equal(undefined);
  });

  it('says how many stand idle for each function', async () => {
    const { begin, pool, holds } = kit();
    const dice = runtimeSpec('dice');
    const [shelf, sandbox] = await begin(dice);
    expect(pool.leave(shelf, sandbox, true), 'the outcome of the call tells that it is kept').to.equal(true);
    expect(holds.get(dice.id)).to.equal(undefined);
    pool.announce();
    expect(holds.get(dice.id)).to.equal(1);
    pool.retire(dice.id);
    expect(holds.get(dice.id)).to.equal(0);
  });

  it('gives a sandbox that comes back to the call that waits longest', async () => {
    const own = kit();
    const gate = new Gate();
    const dice = runtimeSpec('dice');
    const [shelf, first] = await own.begin(dice);
    own.driver.next('start', async () => gate.pass());
    const waiting = own.begin(dice);
    await eventually('a start is under way', () => gate.arrivals === 1);
    own.pool.leave(shelf, first, true);
    expect((await waiting)[1]).to.equal(first);
    gate.open();
    await eventually('what was started stands idle', () => own.holds.get(dice.id) === 1);
    expect(own.pool.take(shelf)?.preloaded).to.equal(true);
  });

  it('starts no more at once than it may, in the order of the calls', async () => {
    const { begin, driver } = kit({ parallelStarts: 2 });
    const gate = new Gate();
    for (let start = 0; start < 5; start++) driver.next('start', async () => gate.pass());
    const calls = Array.from({ length: 5 }, async (_, n) => begin(runtimeSpec(`f${n}`)));
    await eventually('starts are under way', () => gate.arrivals > 0);
    expect(gate.arrivals).to.equal(2);
    gate.open();
    await Promise.all(calls);
    expect(driver.sandboxes.map(({ spec }) => spec.name)).to.deep.equal(['f0', 'f1', 'f2', 'f3', 'f4']);
  });

  it('lets a call stop waiting, and keeps what was started for it', async () => {
    const { pool, driver, holds } = kit();
    const gate = new Gate();
    driver.next('start', async () => gate.pass());
    const dice = runtimeSpec('dice');
    const stop = new AbortController();
    const shelf = pool.enter(dice);
    const waiting = pool.acquire(shelf, { spec: dice }, stop.signal).catch((error: unknown) => error);
    stop.abort(new Error('enough'));
    expect(await waiting).to.have.property('message', 'enough');
    pool.leave(shelf);
    gate.open();
    await eventually('it stands idle', () => holds.get(dice.id) === 1);
  });

  it('tells the call whose start failed', async () => {
    const { begin, driver } = kit();
    driver.fail('start', new PlatformError('SANDBOX_FAILED', 'no'));
    const failure = await begin(runtimeSpec('dice')).catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(PlatformError);
    await begin(runtimeSpec('dice'));
  });

  it('forgets a sandbox that dies while it stands idle', async () => {
    const { call, driver, holds, pool } = kit();
    const dice = runtimeSpec('dice');
    await call(dice);
    driver.sandboxes[0]?.die();
    expect(holds.get(dice.id)).to.equal(0);
    expect(pool.take(pool.enter(dice))).to.equal(undefined);
  });

  describe('over its budget', () => {
    it('evicts the function that is called least', async () => {
      const own = kit({ budget: { sandboxes: 2 } });
      const [often, seldom, third] = ['often', 'seldom', 'third'].map((name) => runtimeSpec(name));
      if (often === undefined || seldom === undefined || third === undefined) throw new Error('unreachable');
      slowStarts(own, 3);
      await own.call(often);
      await own.call(often);
      await own.call(often);
      await own.call(seldom);
      await own.call(third);
      await own.call(third);
      expect(removed(own)).to.deep.equal(['seldom']);
    });

    it('evicts what starts fast rather than what starts slowly, and the big rather than the small', async () => {
      const own = kit({ budget: { sandboxes: 3 } });
      slowStarts(own, 1, 10);
      await own.call(runtimeSpec('fast'));
      slowStarts(own, 3, 100);
      await own.call(runtimeSpec('slow'));
      await own.call(runtimeSpec('big', { settings: { memoryMb: 1024 } }));
      await own.call(runtimeSpec('slow2'));
      expect(removed(own)).to.deep.equal(['fast']);
      slowStarts(own, 1, 100);
      await own.call(runtimeSpec('slow3'));
      expect(removed(own)).to.deep.equal(['fast', 'big']);
    });

    it('lets what was called often long ago go in the end', async () => {
      const own = kit({ budget: { sandboxes: 1 } });
      slowStarts(own, 100);
      for (let call = 0; call < 5; call++) await own.call(runtimeSpec('old'));
      for (let call = 0; call < 20; call++) await own.call(runtimeSpec(`new${call}`));
      expect(removed(own)).to.contain('old');
    });

    it('keeps to its memory', async () => {
      const own = kit({ budget: { memoryMb: 600 } });
      for (const name of ['a', 'b', 'c']) await own.call(runtimeSpec(name, { settings: { memoryMb: 256 } }));
      expect(removed(own)).to.have.length(1);
    });

    it('keeps nothing with a budget of none', async () => {
      const own = kit({ budget: { sandboxes: 0 } });
      await own.call(runtimeSpec('dice'));
      expect(removed(own)).to.deep.equal(['dice']);
    });
  });

  describe('with preloading', () => {
    const dice = imageSpec('dice');

    it('has a fresh sandbox ready for the next call, which is used once', async () => {
      const own = kit({ policy: new DemandPolicy(4) });
      const first = await own.call(dice);
      await eventually('one stands ready', () => own.holds.get(dice.id) === 1);
      const second = await own.call(dice);
      expect(second).not.to.equal(first);
      await eventually('both are removed', () => removed(own).length === 2);
      await eventually('it was replaced', () => own.driver.sandboxes.length === 3);
    });

    it('marks what it started ahead', async () => {
      const own = kit({ policy: new DemandPolicy(4) });
      const [shelf, first] = await own.begin(dice);
      expect(first.preloaded).to.equal(false);
      own.pool.leave(shelf, first);
      await eventually('one stands ready', () => own.holds.get(dice.id) === 1);
      expect((await own.begin(dice))[1].preloaded).to.equal(true);
    });

    it('has as many ready as there were calls at once, but no more than it may', async () => {
      const own = kit({ policy: new DemandPolicy(3), parallelStarts: 8 });
      const calls = await Promise.all(Array.from({ length: 5 }, async () => own.begin(dice)));
      for (const [shelf, sandbox] of calls) own.pool.leave(shelf, sandbox);
      await eventually('three stand ready', () => own.holds.get(dice.id) === 3);
      own.pool.sweep();
      expect(own.driver.counts.start).to.equal(8);
    });

    it('evicts nothing for what is started ahead', async () => {
      const own = kit({ policy: new DemandPolicy(4), budget: { sandboxes: 1 } });
      await own.call(runtimeSpec('kept'));
      await own.call(dice);
      own.pool.sweep();
      expect(own.driver.counts.start).to.equal(2);
      await eventually('what was used is removed', () => removed(own).length > 0);
      expect(removed(own)).to.deep.equal(['dice']);
    });

    it('lets go what was not called for the time of keep-alive', async () => {
      const own = kit({ policy: new DemandPolicy(4, 1000) });
      await own.call(dice);
      await eventually('one stands ready', () => own.holds.get(dice.id) === 1);
      own.pass(999);
      own.pool.sweep();
      expect(own.holds.get(dice.id)).to.equal(1);
      own.pass(1);
      own.pool.sweep();
      expect(own.holds.get(dice.id)).to.equal(0);
      expect(own.driver.counts.start).to.equal(2);
    });

    it('does not try over and over what fails, or dies, ahead of calls', async () => {
      const own = kit({ policy: new DemandPolicy(4) });
      const [shelf, first] = await own.begin(dice);
      own.driver.fail('start', new PlatformError('SANDBOX_FAILED', 'no'));
      own.pool.leave(shelf, first);
      await eventually('it failed', () => own.errors.length === 1);
      own.pool.sweep();
      expect(own.driver.counts.start).to.equal(2);
      await own.call(dice);
      await eventually('one stands ready', () => own.holds.get(dice.id) === 1);
      own.driver.sandboxes.at(-1)?.die();
      own.pool.sweep();
      expect(own.driver.counts.start).to.equal(4);
    });
  });

  it('keeps nothing once it is closed', async () => {
    const own = kit();
    await own.call(runtimeSpec('idle'));
    const [shelf, sandbox] = await own.begin(runtimeSpec('busy'));
    own.pool.close();
    own.pool.leave(shelf, sandbox, true);
    expect(removed(own)).to.have.members(['idle', 'busy']);
  });
});

/** The next starts take so many ms on the pool's clock. */
function slowStarts({ driver, pass }: Kit, starts: number, ms = 100): void {
  for (let start = 0; start < starts; start++) driver.next('start', () => pass(ms));
}

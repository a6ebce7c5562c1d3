import { expect } from 'chai';
import fc from 'fast-check';
import type { FunctionSpec } from '@panal/protocol';
import type { Job } from '../../broker/src/scheduling/job.js';
import { Scheduler, type Placement } from '../../broker/src/scheduling/scheduler.js';
import { imageSpec, runtimeSpec } from '../support/specs.js';

/** A scheduler with the workers around it, which offer each mini-worker again as soon as its call ends. */
class Cluster {
  readonly scheduler: Scheduler;
  readonly workers: { id: string; slots: number; memoryMb: number; hasEngine: boolean }[];
  readonly running: Placement[] = [];
  begun = 0;
  /** Is handed each call that begins, before it counts as running. */
  onBegin: (placement: Placement) => void = () => undefined;
  #callNum = 0;

  constructor(scheduler: Scheduler, workers: { slots: number; memoryMb: number; hasEngine?: boolean }[]) {
    this.scheduler = scheduler;
    this.workers = workers.map((each, at) => ({ id: `w${at}`, hasEngine: true, ...each }));
    for (const { id, ...worker } of this.workers) {
      scheduler.addWorker(id, worker);
      for (let slot = 0; slot < worker.slots; slot++) scheduler.offer(id, slot);
    }
  }

  enqueue(spec: FunctionSpec): Job {
    const params = new Uint8Array(0);
    const base = { attempt: 1, acceptedAt: 0, maxConcurrency: Infinity, input: 'none', params } as const;
    const job = { ...base, callNum: ++this.#callNum, spec };
    this.scheduler.enqueue(job);
    this.pump();
    return job;
  }

  pump(): void {
    for (let next = this.scheduler.next(); next !== undefined; next = this.scheduler.next()) {
      this.onBegin(next);
      this.begun++;
      this.running.push(next);
    }
  }

  /** One of the calls that run ends. */
  end(pick: number, runMs = 100): void {
    const [ended] = this.running.splice(pick % Math.max(1, this.running.length), 1);
    if (ended === undefined) return;
    this.scheduler.ended(ended.job, { workerId: ended.workerId, runMs });
    if (ended.slot !== undefined) this.scheduler.offer(ended.workerId, ended.slot);
    this.pump();
  }

  /** Lets all that run end, one after the other, until nothing runs. */
  drain(): void {
    while (this.running.length > 0) this.end(0);
  }

  runningOf(owner: string): number {
    return this.running.filter(({ job }) => job.spec.owner === owner).length;
  }

  usedMb(workerId: string): number {
    const own = this.running.filter((each) => each.workerId === workerId);
    return own.reduce((sum, { job }) => sum + job.spec.settings.memoryMb, 0);
  }

  get idle(): number {
    return this.workers.reduce((sum, { slots }) => sum + slots, 0) - this.running.length;
  }
}

const fresh = (name: string, memoryMb: number, owner = 'public'): FunctionSpec =>
  runtimeSpec(name, { id: `${owner}-${name}`, owner, lifecycle: 'fresh', settings: { memoryMb } });

const clusterOf = fc.array(
  fc.record({
    slots: fc.integer({ min: 1, max: 4 }),
    memoryMb: fc.constantFrom(256, 512, 1000),
    hasEngine: fc.boolean(),
  }),
  { minLength: 1, maxLength: 4 },
);
const call = fc.record({
  owner: fc.nat(3),
  memoryMb: fc.constantFrom(64, 100, 128, 256),
  image: fc.boolean(),
  end: fc.nat(40),
  ends: fc.boolean(),
});

describe('memory of workers', () => {
  it('is never promised twice, and no call is forgotten that waits for it', () => {
    fc.assert(
      fc.property(clusterOf, fc.array(call, { maxLength: 120 }), fc.nat(2), (workers, calls, spareSlots) => {
        const spare = spareSlots === 0 ? undefined : { slots: spareSlots, memoryMb: 128 };
        const cluster = new Cluster(new Scheduler({ spare: () => spare }), workers);
        const anyEngine = workers.some(({ hasEngine }) => hasEngine);
        for (const { owner, memoryMb, image, end, ends } of calls) {
          const name = `f${memoryMb}`;
          const options = { owner: `o${owner}`, id: `${owner}-${name}`, settings: { memoryMb } };
          cluster.enqueue(
            image && anyEngine
              ? imageSpec(name, { ...options, id: `${owner}-image-${memoryMb}` })
              : fresh(name, memoryMb, `o${owner}`),
          );
          if (ends) cluster.end(end);
          for (const { id, memoryMb: most } of cluster.workers) {
            expect(cluster.usedMb(id)).to.be.at.most(most);
          }
        }
        cluster.drain();
        expect(cluster.scheduler.waiting, 'calls that wait although nothing runs').to.equal(0);
      }),
      { numRuns: 500 },
    );
  });

  it('is used by smaller calls while a larger one waits for more of it', () => {
    const cluster = new Cluster(new Scheduler(), [{ slots: 4, memoryMb: 1000 }]);
    cluster.enqueue(fresh('half', 500));
    const large = cluster.enqueue(fresh('large', 900));
    const small = cluster.enqueue(fresh('small', 300));
    expect(cluster.running.map(({ job }) => job))
      .to.include(small)
      .and.not.include(large);
  });

  it('is kept for a large call that was passed over, so that no stream of smaller ones starves it', () => {
    const cluster = new Cluster(new Scheduler(), [
      { slots: 4, memoryMb: 1000 },
      { slots: 4, memoryMb: 1000 },
    ]);
    const refill = (): void => {
      while (cluster.scheduler.waiting < 20) cluster.enqueue(fresh('small', 240));
    };
    refill();
    const large = cluster.enqueue(fresh('large', 1000));
    let before = 0;
    while (!cluster.running.some(({ job }) => job === large) && before < 1000) {
      cluster.end(before++);
      refill();
    }
    // As many as there are mini-workers pass it by, and those that run on its worker end: the others go on meanwhile.
    expect(before).to.be.at.most(40);
    expect(cluster.running.length).to.be.greaterThan(1);
  });

  it('that is kept for one call goes to others again when that is withdrawn, or its worker leaves', () => {
    for (const leaves of [false, true]) {
      const cluster = new Cluster(new Scheduler(), [{ slots: 2, memoryMb: 1000 }]);
      const large = fresh('large', 1000);
      cluster.enqueue(fresh('long', 400));
      const { callNum } = cluster.enqueue(large);
      for (let each = 0; each < 4; each++) {
        cluster.enqueue(fresh('small', 400));
        if (cluster.running.length > 1) cluster.end(1);
      }
      const waiting = cluster.scheduler.waiting;
      expect(cluster.running, 'the worker is kept').to.have.length(1);
      if (leaves) {
        cluster.scheduler.addWorker('w0', { slots: 2, memoryMb: 900, hasEngine: true });
        cluster.running.length = 0;
        for (const slot of [0, 1]) cluster.scheduler.offer('w0', slot);
      } else {
        expect(cluster.scheduler.remove(large.id, callNum)).to.be.true;
      }
      cluster.pump();
      expect(cluster.scheduler.waiting).to.be.lessThan(waiting);
    }
  });
});

describe('what an owner leaves to others', () => {
  const SPARE = { slots: 1, memoryMb: 128 };
  const makeCluster = (slots: number[], memoryMb = 100_000): Cluster =>
    new Cluster(
      new Scheduler({ spare: () => SPARE }),
      slots.map((each) => ({ slots: each, memoryMb })),
    );

  it('is one mini-worker of the cluster, however many calls it has', () => {
    for (const slots of [[2], [4], [1, 1], [3, 5]]) {
      const cluster = makeCluster(slots);
      for (let each = 0; each < 30; each++) cluster.enqueue(fresh(`f${each % 3}`, 64, 'ada'));
      expect(cluster.idle, slots.join()).to.equal(1);
      const eve = cluster.enqueue(fresh('f', 64, 'eve'));
      expect(cluster.running.at(-1)?.job).to.equal(eve);
      // The next one that comes free is for the next who runs nothing, and else is left.
      cluster.end(0);
      cluster.end(0);
      const bob = cluster.enqueue(fresh('f', 64, 'bob'));
      expect(cluster.running.map(({ job }) => job)).to.include(bob);
    }
  });

  it('is nothing where there is one mini-worker, or nothing is to be left', () => {
    const single = makeCluster([1]);
    single.enqueue(fresh('f', 64, 'ada'));
    expect(single.idle).to.equal(0);
    const alone = new Cluster(new Scheduler(), [{ slots: 3, memoryMb: 1000 }]);
    for (let each = 0; each < 5; each++) alone.enqueue(fresh('f', 64, 'ada'));
    expect(alone.idle).to.equal(0);
  });

  it('has memory for a call, too', () => {
    const cluster = makeCluster([8], 1000);
    for (let each = 0; each < 8; each++) cluster.enqueue(fresh('f', 200, 'ada'));
    expect(cluster.runningOf('ada')).to.equal(4);
    cluster.enqueue(fresh('f', 128, 'eve'));
    expect(cluster.runningOf('eve')).to.equal(1);
  });

  it('is never used by calls that are handed out ahead', () => {
    const cluster = makeCluster([3]);
    const quick = runtimeSpec('quick', { owner: 'ada' });
    for (let each = 0; each < 3; each++) cluster.enqueue(quick);
    cluster.end(0, 1);
    cluster.scheduler.setHolding('w0', quick.id, 1);
    for (let each = 0; each < 9; each++) cluster.enqueue(quick);
    const ahead = cluster.running.filter(({ slot }) => slot === undefined);
    expect(ahead).to.have.length.greaterThan(0);
    expect(ahead.map(({ spared }) => spared)).to.deep.equal(ahead.map(() => 1));
    const eve = cluster.enqueue(fresh('f', 64, 'eve'));
    expect(cluster.running.at(-1)).to.include({ job: eve, workerId: 'w0' });
    expect(cluster.running.at(-1)?.slot).to.be.a('number');
  });

  it('lets whoever runs nothing begin at once, and the others use all the rest, in any history', () => {
    const step = fc.record({ owner: fc.nat(4), fn: fc.nat(2), end: fc.nat(40), ends: fc.boolean() });
    const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(sizes, fc.array(step, { maxLength: 150 }), (slots, steps) => {
        const cluster = makeCluster(slots);
        const total = slots.reduce((sum, each) => sum + each, 0);
        const waiting = new Map<number, string>();
        cluster.onBegin = ({ job }) => {
          waiting.delete(job.callNum);
          const { owner } = job.spec;
          // Before it counts as running itself.
          if (total > 1 && cluster.runningOf(owner) > 0) expect(cluster.idle).to.be.greaterThan(1);
        };
        for (const { owner, fn, end, ends } of steps) {
          const name = `o${owner}`;
          const spec = fresh(`f${fn}`, 64, name);
          const before = cluster.begun;
          const { callNum } = cluster.enqueue(spec);
          if (cluster.begun === before) waiting.set(callNum, name);
          if (ends) cluster.end(end);
          const waits = new Set(waiting.values());
          if (cluster.idle > 0) {
            for (const each of waits)
              expect(cluster.runningOf(each), 'it runs something').to.be.greaterThan(0);
          }
          if (waits.size > 0) expect(cluster.idle).to.be.at.most(1);
        }
        cluster.drain();
        expect(cluster.scheduler.waiting).to.equal(0);
      }),
      { numRuns: 500 },
    );
  });
});

import { expect } from 'chai';
import fc from 'fast-check';
import type { FunctionSpec } from '@panal/protocol';
import { MOST_AHEAD } from '@panal/transport';
import type { Job } from '../../broker/src/scheduling/job.js';
import { Scheduler } from '../../broker/src/scheduling/scheduler.js';
import { imageSpec, runtimeSpec } from '../support/specs.js';

let callNum = 0;

function job(spec: FunctionSpec, maxConcurrency = Infinity): Job {
  const params = new Uint8Array(0);
  return { callNum: ++callNum, attempt: 1, acceptedAt: 0, spec, maxConcurrency, input: 'none', params };
}

/** A worker all of whose mini-workers offered themselves. */
function addIdleWorker(scheduler: Scheduler, id: string, slots: number, hasEngine = true): void {
  scheduler.addWorker(id, { slots, hasEngine });
  for (let slot = 0; slot < slots; slot++) scheduler.offer(id, slot);
}

function placeAll(scheduler: Scheduler): { name: string; workerId: string }[] {
  const placed = [];
  for (let next = scheduler.next(); next !== undefined; next = scheduler.next()) {
    placed.push({ name: next.job.spec.name, workerId: next.workerId });
  }
  return placed;
}

describe('Scheduler', () => {
  it('places a waiting call when a mini-worker offers itself, and no sooner', () => {
    const scheduler = new Scheduler();
    const waiting = job(runtimeSpec('dice'));
    scheduler.enqueue(waiting);
    scheduler.addWorker('w1', { slots: 1, hasEngine: false });
    expect(scheduler.next()).to.equal(undefined);
    scheduler.offer('w1', 0);
    expect(scheduler.next()).to.deep.equal({ job: waiting, workerId: 'w1', slot: 0 });
    expect(scheduler.waiting).to.equal(0);
  });

  it('gives a mini-worker one call for each offer', () => {
    const scheduler = new Scheduler();
    addIdleWorker(scheduler, 'w1', 2);
    scheduler.offer('w1', 0);
    scheduler.offer('w1', 7);
    for (let each = 0; each < 5; each++) scheduler.enqueue(job(runtimeSpec('dice')));
    expect(placeAll(scheduler)).to.have.length(2);
  });

  it('prefers a worker that holds the function, then one that holds its runtime, then the least loaded', () => {
    const scheduler = new Scheduler();
    addIdleWorker(scheduler, 'roomy', 8);
    addIdleWorker(scheduler, 'runtime', 2);
    addIdleWorker(scheduler, 'own', 1);
    scheduler.setHolding('own', 'id-dice', 1);
    scheduler.setHolding('runtime', 'runtime:pythonruntime', 1);
    for (let each = 0; each < 3; each++) scheduler.enqueue(job(runtimeSpec('dice')));
    expect(scheduler.next()?.workerId).to.equal('own');
    expect(scheduler.next()?.workerId).to.equal('runtime');
    scheduler.setHolding('runtime', 'runtime:pythonruntime', 0);
    expect(scheduler.next()?.workerId).to.equal('roomy');
  });

  it('spreads calls over equally loaded workers', () => {
    const scheduler = new Scheduler();
    addIdleWorker(scheduler, 'w1', 2);
    addIdleWorker(scheduler, 'w2', 2);
    for (let each = 0; each < 4; each++) scheduler.enqueue(job(runtimeSpec('dice')));
    const placed = placeAll(scheduler).map(({ workerId }) => workerId);
    expect(placed.slice(0, 2).sort()).to.deep.equal(['w1', 'w2']);
    expect(placed.slice(2).sort()).to.deep.equal(['w1', 'w2']);
  });

  it('serves functions in turn, so that a flood of one starves no other', () => {
    const scheduler = new Scheduler();
    for (let each = 0; each < 100; each++) scheduler.enqueue(job(runtimeSpec('flood')));
    scheduler.enqueue(job(runtimeSpec('rare')));
    addIdleWorker(scheduler, 'w1', 2);
    expect(placeAll(scheduler).map(({ name }) => name)).to.deep.equal(['flood', 'rare']);
  });

  it('serves owners in turn, however many functions one of them floods', () => {
    const scheduler = new Scheduler();
    for (let each = 0; each < 50; each++)
      scheduler.enqueue(job(runtimeSpec(`flood${each}`, { owner: 'ana' })));
    scheduler.enqueue(job(runtimeSpec('rare', { owner: 'ben' })));
    addIdleWorker(scheduler, 'w1', 2);
    expect(placeAll(scheduler).map(({ name }) => name)).to.include('rare');
  });

  it('serves the calls of one function in the order in which they came', () => {
    const scheduler = new Scheduler();
    const jobs = Array.from({ length: 50 }, () => job(runtimeSpec('dice')));
    for (const each of jobs) scheduler.enqueue(each);
    addIdleWorker(scheduler, 'w1', 50);
    const order = [];
    for (let next = scheduler.next(); next !== undefined; next = scheduler.next()) order.push(next.job);
    expect(order).to.deep.equal(jobs);
  });

  it('runs no more calls of a function at once than its maxConcurrency', () => {
    const scheduler = new Scheduler();
    addIdleWorker(scheduler, 'w1', 8);
    const jobs = Array.from({ length: 3 }, () => job(runtimeSpec('dice'), 2));
    for (const each of jobs) scheduler.enqueue(each);
    expect(placeAll(scheduler)).to.have.length(2);
    const [first] = jobs;
    if (first !== undefined) scheduler.ended(first);
    expect(placeAll(scheduler)).to.have.length(1);
  });

  it('runs no more calls of an owner at once than the owner may', () => {
    const scheduler = new Scheduler({ ownerLimit: (owner) => (owner === 'ana' ? 1 : Infinity) });
    addIdleWorker(scheduler, 'w1', 8);
    const jobs = ['a', 'b'].map((name) => job(runtimeSpec(name, { owner: 'ana' })));
    for (const each of jobs) scheduler.enqueue(each);
    scheduler.enqueue(job(runtimeSpec('c', { owner: 'ben' })));
    expect(placeAll(scheduler).map(({ name }) => name)).to.deep.equal(['a', 'c']);
    const [first] = jobs;
    if (first !== undefined) scheduler.ended(first);
    expect(placeAll(scheduler).map(({ name }) => name)).to.deep.equal(['b']);
  });

  it('gives image functions only to workers with a container engine', () => {
    const scheduler = new Scheduler();
    addIdleWorker(scheduler, 'plain', 4, false);
    scheduler.enqueue(job(imageSpec('reverse')));
    scheduler.enqueue(job(runtimeSpec('dice')));
    expect(placeAll(scheduler)).to.deep.equal([{ name: 'dice', workerId: 'plain' }]);
    addIdleWorker(scheduler, 'engine', 1, true);
    expect(placeAll(scheduler)).to.deep.equal([{ name: 'reverse', workerId: 'engine' }]);
  });

  it('places nothing on a worker that is gone or drains', () => {
    const scheduler = new Scheduler();
    addIdleWorker(scheduler, 'gone', 2);
    addIdleWorker(scheduler, 'draining', 2);
    scheduler.setHolding('gone', 'id-dice', 1);
    scheduler.removeWorker('gone');
    scheduler.drainWorker('draining');
    scheduler.offer('draining', 1);
    scheduler.enqueue(job(runtimeSpec('dice')));
    expect(scheduler.next()).to.equal(undefined);
  });

  it('forgets a call that is removed while it waits', () => {
    const scheduler = new Scheduler();
    const waiting = job(runtimeSpec('dice'));
    scheduler.enqueue(waiting);
    expect(scheduler.remove('id-dice', waiting.callNum)).to.equal(true);
    expect(scheduler.remove('id-dice', waiting.callNum)).to.equal(false);
    addIdleWorker(scheduler, 'w1', 1);
    expect(scheduler.next()).to.equal(undefined);
    expect(scheduler.waiting).to.equal(0);
  });

  it('lets a short function wait a moment for its own sandbox before it takes a place without one', () => {
    let now = 0;
    const scheduler = new Scheduler({ now: () => now });
    addIdleWorker(scheduler, 'w1', 3);
    const [warmUp, running, waiting] = [1, 2, 3].map(() => job(runtimeSpec('short')));
    if (warmUp === undefined || running === undefined || waiting === undefined)
      throw new Error('unreachable');
    scheduler.enqueue(warmUp);
    scheduler.enqueue(running);
    placeAll(scheduler);
    scheduler.ended(warmUp, { runMs: 5 });
    scheduler.enqueue(waiting);
    expect(scheduler.next(), 'a place is idle, but holds no sandbox').to.equal(undefined);
    expect(scheduler.wakeAt()).to.equal(10);
    now = 10;
    expect(scheduler.next()?.job).to.equal(waiting);
  });

  it('places a function that waits as soon as one of its sandboxes is idle', () => {
    const scheduler = new Scheduler({ now: () => 0 });
    addIdleWorker(scheduler, 'w1', 3);
    const [first, second, third] = [1, 2, 3].map(() => job(runtimeSpec('short')));
    if (first === undefined || second === undefined || third === undefined) throw new Error('unreachable');
    scheduler.enqueue(first);
    scheduler.enqueue(second);
    placeAll(scheduler);
    scheduler.ended(first, { runMs: 5 });
    scheduler.enqueue(third);
    expect(scheduler.next()).to.equal(undefined);
    scheduler.setHolding('w1', 'id-short', 1);
    expect(scheduler.next()?.job).to.equal(third);
  });

  it('lets a queue that lasts take every idle place once its patience is over', () => {
    let now = 0;
    const scheduler = new Scheduler({ now: () => now });
    addIdleWorker(scheduler, 'w1', 8);
    const jobs = Array.from({ length: 7 }, () => job(runtimeSpec('short')));
    const [first, second, ...others] = jobs;
    if (first === undefined || second === undefined) throw new Error('unreachable');
    scheduler.enqueue(first);
    scheduler.enqueue(second);
    placeAll(scheduler);
    scheduler.ended(first, { runMs: 5 });
    for (const each of others) scheduler.enqueue(each);
    expect(placeAll(scheduler)).to.have.length(0);
    now = 10;
    expect(placeAll(scheduler)).to.have.length(5);
  });

  it('never lets a function wait that keeps no sandboxes', () => {
    const scheduler = new Scheduler({ now: () => 0 });
    addIdleWorker(scheduler, 'w1', 3);
    const [first, second, third] = [1, 2, 3].map(() => job(runtimeSpec('short', { lifecycle: 'fresh' })));
    if (first === undefined || second === undefined || third === undefined) throw new Error('unreachable');
    scheduler.enqueue(first);
    scheduler.enqueue(second);
    placeAll(scheduler);
    scheduler.ended(first, { runMs: 5 });
    scheduler.enqueue(third);
    expect(scheduler.next()?.job).to.equal(third);
  });

  describe('while every mini-worker is busy', () => {
    const quick = runtimeSpec('quick');

    /** A cluster whose mini-workers all run calls of `quick`, which takes `runMs`; and what it placed. */
    function busy(runMs: number, slots = 2, spec = quick): Scheduler {
      const scheduler = new Scheduler({ now: () => 0 });
      addIdleWorker(scheduler, 'w1', slots);
      const jobs = Array.from({ length: slots + 1 }, () => job(spec));
      for (const each of jobs) scheduler.enqueue(each);
      expect(placeAll(scheduler)).to.have.length(slots);
      // One has ended, so that it is known how long they take, and its place is taken.
      const [first] = jobs;
      if (first !== undefined) scheduler.ended(first, { workerId: 'w1', runMs });
      scheduler.setHolding('w1', spec.id, 1);
      scheduler.offer('w1', 0);
      expect(placeAll(scheduler)).to.have.length(1);
      return scheduler;
    }

    const enqueue = (scheduler: Scheduler, count: number, spec = quick): Job[] => {
      const jobs = Array.from({ length: count }, () => job(spec));
      for (const each of jobs) scheduler.enqueue(each);
      return jobs;
    };

    it('hands out calls of a very short function ahead, to wait where others of it run', () => {
      const scheduler = busy(5);
      const [first, second, third] = enqueue(scheduler, 3);
      expect(scheduler.next()).to.deep.equal({ job: first, workerId: 'w1', slot: undefined });
      expect(scheduler.next()).to.deep.equal({ job: second, workerId: 'w1', slot: undefined });
      expect(scheduler.next()).to.equal(undefined);
      if (first === undefined) throw new Error('unreachable');
      scheduler.ended(first, { workerId: 'w1', runMs: 5 });
      expect(scheduler.next()?.job).to.equal(third);
    });

    it('hands out the more of them the shorter they are, up to what a worker takes', () => {
      for (const [runMs, each] of [
        [5, 1],
        [2.5, 2],
        [1, 5],
        [0.01, MOST_AHEAD],
      ] as const) {
        const scheduler = busy(runMs);
        enqueue(scheduler, 100);
        expect(placeAll(scheduler), `runs of ${runMs} ms`).to.have.length(2 * each);
      }
    });

    it('hands out nothing ahead of a longer function, nor of one that keeps no sandbox', () => {
      for (const scheduler of [busy(6), busy(1, 2, runtimeSpec('quick', { lifecycle: 'fresh' }))]) {
        enqueue(scheduler, 1);
        expect(scheduler.next()).to.equal(undefined);
      }
    });

    it('hands out nothing ahead where another function waits, which must have its turn', () => {
      const scheduler = busy(1);
      enqueue(scheduler, 1);
      enqueue(scheduler, 1, runtimeSpec('other'));
      expect(scheduler.next()).to.equal(undefined);
      scheduler.setHolding('w1', quick.id, 1);
      scheduler.offer('w1', 0);
      scheduler.offer('w1', 1);
      expect(placeAll(scheduler).map(({ name }) => name)).to.have.members(['quick', 'other']);
    });

    it('hands out nothing ahead to a worker that has other things to do, drains, or has gone', () => {
      const scheduler = busy(1);
      addIdleWorker(scheduler, 'w2', 1);
      enqueue(scheduler, 1, runtimeSpec('other'));
      expect(placeAll(scheduler)).to.deep.equal([{ name: 'other', workerId: 'w2' }]);
      scheduler.drainWorker('w1');
      enqueue(scheduler, 1);
      expect(scheduler.next()).to.equal(undefined);
      scheduler.removeWorker('w1');
      expect(scheduler.next()).to.equal(undefined);
    });

    it('counts what a worker that came back still has', () => {
      const scheduler = busy(5);
      const [third, fourth] = enqueue(scheduler, 2);
      if (third === undefined || fourth === undefined) throw new Error('unreachable');
      scheduler.addWorker('w1', { slots: 2, hasEngine: true });
      expect(scheduler.next()).to.equal(undefined);
      // It says that it still has two calls, and adopts a third.
      scheduler.keep(job(quick), 'w1');
      scheduler.keep(job(quick), 'w1');
      scheduler.adopt(job(quick), 'w1');
      expect(scheduler.next()?.job).to.equal(third);
      expect(scheduler.next()).to.equal(undefined);
    });
  });

  it('places each call once, on an idle mini-worker, whatever happens in which order', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('enqueue' as const), fn: fc.nat(4), owner: fc.nat(2) }),
      fc.record({ do: fc.constant('offer' as const), worker: fc.nat(3), slot: fc.nat(3) }),
      fc.record({ do: fc.constant('hold' as const), worker: fc.nat(3), fn: fc.nat(4), idle: fc.nat(2) }),
      fc.record({ do: fc.constant('end' as const), pick: fc.nat(20) }),
      fc.record({ do: fc.constant('leave' as const), worker: fc.nat(3) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        let now = 0;
        const scheduler = new Scheduler({ now: () => (now += 1000) });
        const offered = new Set<string>();
        const placed = new Set<number>();
        const running: { job: Job; workerId: string }[] = [];
        let enqueued = 0;
        for (const worker of [0, 1, 2, 3]) scheduler.addWorker(`w${worker}`, { slots: 4, hasEngine: true });
        for (const each of steps) {
          if (each.do === 'enqueue') {
            scheduler.enqueue(job(runtimeSpec(`f${each.owner}-${each.fn}`, { owner: `o${each.owner}` }), 2));
            enqueued++;
          } else if (each.do === 'offer') {
            scheduler.offer(`w${each.worker}`, each.slot);
            offered.add(`w${each.worker}/${each.slot}`);
          } else if (each.do === 'hold') {
            scheduler.setHolding(`w${each.worker}`, `id-f0-${each.fn}`, each.idle);
          } else if (each.do === 'end') {
            const [ended] = running.splice(each.pick % Math.max(1, running.length), 1);
            if (ended !== undefined) scheduler.ended(ended.job, { workerId: ended.workerId, runMs: 1 });
          } else {
            scheduler.addWorker(`w${each.worker}`, { slots: 4, hasEngine: true });
            for (const slot of [0, 1, 2, 3]) offered.delete(`w${each.worker}/${slot}`);
          }
          for (let next = scheduler.next(); next !== undefined; next = scheduler.next()) {
            if (next.slot !== undefined) {
              const offer = `${next.workerId}/${next.slot}`;
              expect(offered.delete(offer), 'the mini-worker had offered itself').to.be.true;
            }
            expect(placed.has(next.job.callNum), 'the call was not placed before').to.be.false;
            placed.add(next.job.callNum);
            running.push(next);
          }
        }
        expect(scheduler.waiting + placed.size).to.equal(enqueued);
      }),
      { numRuns: 300 },
    );
  });
});

import { once, EventEmitter } from 'node:events';
import { expect } from 'chai';
import { TimerHeap } from '../../broker/src/calls/timer-heap.js';

describe('TimerHeap', () => {
  interface Item {
    ms: number;
  }

  it('rings for each item in the order of their times', async () => {
    // Between two settings time may pass: when an item is due is known to lie between these.
    interface Due {
      earliest: number;
      latest: number;
    }
    const rung: Due[] = [];
    const bell = new EventEmitter();
    const timers = new TimerHeap<Due>((item) => {
      rung.push(item);
      if (rung.length === 40) bell.emit('all');
    });
    for (let n = 0; n < 40; n++) {
      const ms = (n * 17) % 40;
      const item = { earliest: performance.now() + ms, latest: Infinity };
      timers.set(item, ms);
      item.latest = performance.now() + ms;
    }
    await once(bell, 'all');
    expect(new Set(rung)).to.have.property('size', 40);
    for (const [at, { latest }] of rung.entries()) {
      for (const before of rung.slice(0, at)) expect(before.earliest).to.be.at.most(latest);
    }
    expect(timers.size).to.equal(0);
  });

  it('rings for an item that was set later for an earlier time', async () => {
    const bell = new EventEmitter();
    const timers = new TimerHeap<Item>((item) => bell.emit('rung', item));
    const [late, early] = [{ ms: 3_600_000 }, { ms: 1 }];
    for (const item of [late, early]) timers.set(item, item.ms);
    expect(await once(bell, 'rung')).to.deep.equal([early]);
    timers.stop();
  });

  it('rings for an item at the time that was set last, and not for one that was cancelled', async () => {
    const rung: number[] = [];
    const bell = new EventEmitter();
    const timers = new TimerHeap<Item>(({ ms }) => {
      rung.push(ms);
      bell.emit(String(ms));
    });
    const items = [0, 1, 2, 3, 4].map((ms) => ({ ms }));
    for (const item of items) timers.set(item, item.ms);
    const [first, second] = items;
    if (first !== undefined) timers.set(first, 20);
    if (second !== undefined) timers.cancel(second);
    await once(bell, '0');
    expect([...rung].sort()).to.deep.equal([0, 2, 3, 4]);
  });

  it('keeps nothing of what was cancelled long before its time', () => {
    const timers = new TimerHeap<Item>(() => undefined);
    const waiting = Array.from({ length: 1000 }, () => ({ ms: 0 }));
    for (const item of waiting) timers.set(item, 86_400_000);
    for (let n = 0; n < 10_000; n++) {
      const item = { ms: n };
      timers.set(item, 86_400_000);
      timers.cancel(item);
    }
    expect(timers.size).to.be.within(1000, 2100);
    for (const item of waiting) timers.cancel(item);
    expect(timers.size).to.be.below(100);
    timers.stop();
  });
});

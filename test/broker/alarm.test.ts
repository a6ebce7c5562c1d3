import { once, EventEmitter } from 'node:events';
import { expect } from 'chai';
import { Alarm } from '../../broker/src/calls/alarm.js';

describe('Alarm', () => {
  it('rings for each item in the order of their times', async () => {
    const rung: number[] = [];
    const bell = new EventEmitter();
    const alarm = new Alarm<number>((item) => {
      rung.push(item);
      if (rung.length === 40) bell.emit('all');
    });
    const times = Array.from({ length: 40 }, (_, n) => (n * 17) % 40);
    for (const ms of times) alarm.set(ms, ms);
    await once(bell, 'all');
    expect(rung).to.deep.equal([...times].sort((a, b) => a - b));
  });

  it('rings for an item that was set later for an earlier time', async () => {
    const bell = new EventEmitter();
    const alarm = new Alarm<string>((item) => bell.emit('rung', item));
    alarm.set('late', 3_600_000);
    alarm.set('early', 1);
    const [item] = (await once(bell, 'rung')) as [string];
    alarm.stop();
    expect(item).to.equal('early');
  });
});

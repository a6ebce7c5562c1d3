import { expect } from 'chai';
import { SingleFlight } from '@panal/support';
import { Gate } from './gate.js';

describe('work that several ask for', () => {
  it('is done once, and goes on while anyone still wants it', async () => {
    const flights = new SingleFlight<number>();
    const gate = new Gate();
    const [first, second] = [new AbortController(), new AbortController()];
    let runs = 0;
    const work = async (signal: AbortSignal): Promise<number> => {
      runs++;
      await gate.pass(signal);
      return runs;
    };
    const left = flights.run('key', first.signal, work);
    const stayed = flights.run('key', second.signal, work);
    first.abort(new Error('left'));
    expect(await left.catch((error: unknown) => error)).to.have.property('message', 'left');
    gate.open();
    expect(await stayed).to.equal(1);
  });

  it('is given up when the last one leaves', async () => {
    const flights = new SingleFlight<void>();
    const leave = new AbortController();
    let given: AbortSignal | undefined;
    const only = flights.run('key', leave.signal, async (signal) => {
      given = signal;
      await new Gate().pass(signal);
    });
    leave.abort(new Error('left'));
    expect(await only.catch(() => 'left')).to.equal('left');
    expect(given?.aborted).to.be.true;
  });

  it('ends, when it was given up, before it is begun anew', async () => {
    const flights = new SingleFlight<number>();
    const [ending, leave] = [new Gate(), new AbortController()];
    const order: string[] = [];
    const givenUp = flights.run('key', leave.signal, async () => {
      await ending.pass();
      order.push('ended');
      return 1;
    });
    leave.abort(new Error('left'));
    expect(await givenUp.catch(() => 'left')).to.equal('left');
    const next = flights.run('key', new AbortController().signal, async () => {
      order.push('began');
      return 2;
    });
    ending.open();
    expect(await next).to.equal(2);
    expect(order).to.deep.equal(['ended', 'began']);
  });
});

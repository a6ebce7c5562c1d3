import { expect } from 'chai';
import { BatchSender } from '@panal/transport/zeromq';
import { Gate } from '../support/gate.js';

/** A socket that takes one send at a time, as zeromq.js does, and lets each wait at a gate. */
class Socket {
  readonly heads: unknown[] = [];
  gate = new Gate();
  #busy = false;

  async send([head]: [string, Uint8Array]): Promise<void> {
    if (this.#busy) throw new Error('EBUSY');
    this.#busy = true;
    await this.gate.pass();
    this.#busy = false;
    this.heads.push(JSON.parse(head));
  }
}

function kit(): { socket: Socket; errors: unknown[]; sender: BatchSender<{ n: number }> } {
  const socket = new Socket();
  const errors: unknown[] = [];
  return { socket, errors, sender: new BatchSender(socket, (error) => errors.push(error)) };
}

describe('a batch sender', () => {
  it('sends what is pushed in one turn as one message', async () => {
    const { socket, sender } = kit();
    socket.gate.open();
    sender.push({ n: 1 });
    sender.push({ n: 2 });
    await sender.flushed();
    expect(socket.heads).to.deep.equal([[{ n: 1 }, { n: 2 }]]);
  });

  it('lets the first message of a batch wait for its moment, and what comes meanwhile travel with it', async () => {
    const { socket } = kit();
    socket.gate.open();
    const moment = new Gate();
    const sender = new BatchSender<{ n: number }>(
      socket,
      () => undefined,
      async () => moment.pass(),
    );
    sender.push({ n: 1 });
    await new Promise(setImmediate);
    sender.push({ n: 2 });
    moment.open();
    await sender.flushed();
    expect(socket.heads).to.deep.equal([[{ n: 1 }, { n: 2 }]]);
  });

  it('never sends twice at once, and keeps the order', async () => {
    const { socket, sender, errors } = kit();
    sender.push({ n: 1 });
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    sender.push({ n: 2 });
    sender.push({ n: 3 });
    socket.gate.open();
    await sender.flushed();
    expect(socket.heads).to.deep.equal([[{ n: 1 }], [{ n: 2 }, { n: 3 }]]);
    expect(errors).to.deep.equal([]);
  });

  it('makes several messages of many, or of large ones', async () => {
    const { socket, sender } = kit();
    socket.gate.open();
    for (let n = 0; n < 1500; n++) sender.push({ n });
    await sender.flushed();
    expect(socket.heads.map((head) => (head as unknown[]).length)).to.deep.equal([1024, 476]);
    socket.heads.length = 0;
    for (let n = 0; n < 3; n++) sender.push({ n }, [new Uint8Array(700_000)]);
    await sender.flushed();
    expect(socket.heads).to.have.length(3);
  });

  it('tells of a socket that fails, but not after it is closed', async () => {
    const { socket, sender, errors } = kit();
    socket.send = async () => Promise.reject(new Error('gone'));
    sender.push({ n: 1 });
    await sender.flushed();
    expect(errors).to.have.length(1);
    sender.push({ n: 2 });
    sender.close();
    sender.push({ n: 3 });
    await sender.flushed();
    expect(errors).to.have.length(1);
  });
});

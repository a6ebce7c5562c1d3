import { once } from 'node:events';
import { expect } from 'chai';
import { EventStream } from '../../broker/src/http/calls/event-stream.js';
import { eventually } from '../../testkit/wait.js';

describe('EventStream', () => {
  it('sends events with their data as JSON on one line, and ends', async () => {
    const stream = new EventStream();
    stream.send('log', 'a\nb');
    stream.end();
    stream.send('log', 'late');
    expect(Buffer.concat((await stream.toArray()) as Buffer[]).toString()).to.equal(
      ':\n\nevent: log\ndata: "a\\nb"\n\n',
    );
  });

  it('sends a comment now and then, so that nobody takes the connection for dead', async () => {
    const stream = new EventStream({ heartbeatMs: 1 });
    let text = '';
    stream.on('data', (piece: Buffer) => (text += piece.toString()));
    await eventually('three heartbeats', () => text.startsWith(':\n\n'.repeat(4)));
    stream.destroy();
  });

  it('cuts off a client that is more than 1 MiB behind, and holds no more than that for it', async () => {
    const stream = new EventStream();
    const closed = once(stream, 'close');
    let sent = 0;
    while (!stream.destroyed) {
      stream.send('log', 'x'.repeat(1000));
      sent += 1000;
    }
    await closed;
    expect(sent).to.be.within(1_000_000, 1_100_000);
    stream.send('log', 'nothing happens');
    stream.end();
  });
});

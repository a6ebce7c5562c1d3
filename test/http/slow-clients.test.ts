import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { readBody } from '../../broker/src/http/routing/body.js';
import { HTTP_LIMITS, mostConnections, type HttpLimits } from '../../broker/src/http/server/http-limits.js';
import { listen, type Listener } from '../../broker/src/http/server/listen.js';
import { ByteBudget } from '../../broker/src/http/memory/byte-budget.js';
import { UnreadAnswers } from '../../broker/src/http/memory/unread-answers.js';
import { eventually } from '../../testkit/wait.js';

const LARGE = Buffer.alloc(32 * 1024 * 1024);

describe('a client that is slow', () => {
  let listener: Listener;
  const sockets: Socket[] = [];
  /** What became of each body that was read: its size, or why it was not. */
  let bodies: (number | string)[];
  let connectionsClosed: number;

  /** `GET` is answered with more than fits a socket, `POST` with how much came. */
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    request.socket.once('close', () => connectionsClosed++);
    if (request.method === 'GET') {
      response.end(LARGE);
      return;
    }
    readBody(request, 1000).then(
      ({ byteLength }) => {
        bodies.push(byteLength);
        response.end(String(byteLength));
      },
      (error: unknown) => bodies.push(error instanceof Error ? error.message : ''),
    );
  };

  async function start(limits: Partial<HttpLimits>, app = serve): Promise<void> {
    listener = await listen({ callback: () => app }, '127.0.0.1', 0, {
      ...HTTP_LIMITS,
      checkMs: 20,
      ...limits,
    });
  }

  function client(begin = ''): Socket {
    const socket = connect(listener.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(begin);
    sockets.push(socket);
    return socket;
  }

  /** Writes a byte each turn of a timer, for as long as it is let. */
  function trickle(socket: Socket, bytes: string): void {
    const left = bytes.split('');
    const timer = setInterval(() => socket.write(left.shift() ?? 'x'), 20);
    socket.once('close', () => clearInterval(timer));
  }

  beforeEach(() => {
    bodies = [];
    connectionsClosed = 0;
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await listener.close(0);
  });

  it('to say anything is cut off', async () => {
    await start({ headersMs: 100 });
    await once(client().resume(), 'close');
  });

  it('to send its headers is refused, however they trickle in, and others are served meanwhile', async () => {
    await start({ headersMs: 300 });
    const slow = client();
    trickle(slow, `POST / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(1000)}`);
    const quick = client('POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi');
    expect(await text(quick)).to.match(/\r\n\r\n2$/);
    const answer = await text(slow);
    expect(answer)
      .to.match(/^HTTP\/1.1 400 /)
      .and.to.contain('"code":"INVALID_REQUEST"');
    expect(bodies).to.deep.equal([2]);
  });

  it('to send its body is refused, however it trickles in', async () => {
    await start({ headersMs: 300, requestMs: 300 });
    const slow = client('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n');
    trickle(slow, '');
    await text(slow);
    await eventually('the body is given up', () => bodies.length > 0);
    expect(bodies).to.deep.equal(['the client went away before its request was whole']);
  });

  it('to take its answer is cut off', async () => {
    await start({ answerMs: 200 });
    const slow = client('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    slow.pause();
    await eventually('the answer is given up', () => connectionsClosed === 1);
    expect((await text(slow)).length).to.be.below(LARGE.byteLength);
  });

  it('but takes its answer piece by piece gets it whole', async () => {
    await start({ answerMs: 300 });
    const slow = client('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    let size = 0;
    slow.on('data', (bytes: Buffer) => {
      size += bytes.byteLength;
      slow.pause();
      setTimeout(() => slow.resume(), 1);
    });
    await once(slow, 'end');
    expect(size).to.be.greaterThan(LARGE.byteLength);
  });

  it('to wait for the answer of a slow function is not cut off', async () => {
    let answer: ((body: string) => void) | undefined;
    await start({ headersMs: 100, requestMs: 100, answerMs: 100 }, (_request, response) => {
      answer = (body) => response.end(body);
    });
    const patient = client('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await eventually('it asks', () => answer !== undefined);
    // By then the server has looked for slow clients, and more than once.
    await once(client().resume(), 'close');
    answer?.('at last');
    expect(await text(patient)).to.match(/at last$/);
  });
});

describe('clients that together leave more answers lying than there may be', () => {
  it('are cut off, those first that have kept theirs longest', async () => {
    const unread = new UnreadAnswers(60_000, new ByteBudget(Infinity, () => 2.5 * LARGE.byteLength));
    const server = createServer((_request, response) => {
      response.once('prefinish', () => unread.add(response));
      response.end(LARGE);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const clients: Socket[] = [];
    for (let count = 0; count < 4; count++) {
      const client = connect(port, '127.0.0.1').pause();
      client.on('error', () => undefined);
      clients.push(client);
      client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      await once(server, 'request');
    }
    const sizes = await Promise.all(clients.map(async (client) => (await text(client)).length));
    expect(sizes.map((size) => size > LARGE.byteLength)).to.deep.equal([false, false, true, true]);
    server.close();
  });
});

describe('a client that sends requests ahead', () => {
  let listener: Listener;
  let open: ((answer: string) => void)[];
  beforeEach(async () => {
    open = [];
    const app = (_request: IncomingMessage, response: ServerResponse): void => {
      open.push((answer) => response.end(answer));
    };
    listener = await listen({ callback: () => app }, '127.0.0.1', 0);
  });
  afterEach(async () => await listener.close(0));

  const ask = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

  it('is served with one at a time, in order', async () => {
    const client = connect(listener.port, '127.0.0.1');
    client.write(ask + ask + ask.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    for (const answer of ['one', 'two', 'three']) {
      await eventually(`${answer} is asked for`, () => open.length > 0);
      expect(open).to.have.length(1);
      open.shift()?.(answer);
    }
    expect((await text(client)).match(/one|two|three/g)).to.deep.equal(['one', 'two', 'three']);
  });

  it('and far too many of them, is cut off', async () => {
    const client = connect(listener.port, '127.0.0.1');
    client.on('error', () => undefined).resume();
    client.write(ask.repeat(1000));
    await once(client, 'close');
    expect(open).to.have.length(1);
  });
});

describe('a request', () => {
  let listener: Listener;
  beforeEach(async () => {
    const app = (_request: IncomingMessage, response: ServerResponse): unknown => response.end('served');
    listener = await listen({ callback: () => app }, '127.0.0.1', 0);
  });
  afterEach(async () => await listener.close(0));

  async function answerTo(...lines: string[]): Promise<string> {
    const socket = connect(listener.port, '127.0.0.1');
    socket.write(`${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`);
    return await text(socket);
  }

  it('with more headers than there may be, or none of the host, is refused with a code', async () => {
    const large = await answerTo('GET / HTTP/1.1', 'Host: x', `X: ${'y'.repeat(20_000)}`);
    const hostless = await answerTo('GET / HTTP/1.1', 'X: y');
    for (const answer of [large, hostless]) {
      expect(answer)
        .to.match(/^HTTP\/1.1 400 /)
        .and.to.contain('"code":"INVALID_REQUEST"');
    }
  });

  it('that expects what nobody knows is served all the same', async () => {
    const answer = await answerTo('GET / HTTP/1.1', 'Host: x', 'Expect: 200-ok');
    expect(answer)
      .to.match(/^HTTP\/1.1 200 /)
      .and.to.match(/served$/);
  });

  it('leaves descriptors to the store, however many connections there are', async () => {
    const most = await mostConnections();
    if (process.platform === 'linux') expect(most).to.be.a('number').that.is.greaterThan(100);
  });
});

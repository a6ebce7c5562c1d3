import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { Panal } from '@panal/client';
import { expect } from 'chai';
import { temporaryFolder } from '../support/folder.js';
import { LiveBroker } from '../support/live-broker.js';
import { freePorts } from '../../testkit/ports.js';

const AT = '2026-01-01T00:00:00.000Z';
const CALL = { callNum: 1, owner: 'public', funcName: 'f', version: 1, attempts: 1, acceptedAt: AT };

describe('Following a call with @panal/client', () => {
  let server: Server;
  let panal: Panal;

  /** Answers the first request for logs by the first listener, and so on; the call is settled after the last. */
  async function serve(logs: string, ...streams: RequestListener[]): Promise<void> {
    server = createServer((request, response) => {
      if (request.url === '/call/1/logs') {
        streams.shift()?.(request, response);
        return;
      }
      const status = streams.length === 0 ? 'DONE' : 'RUNNING';
      response.end(JSON.stringify({ ...CALL, status, logs }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    panal = new Panal({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  }

  const stream =
    (text: string, { cut = false } = {}): RequestListener =>
    (_request, response) => {
      response.setHeader('Content-Type', 'text/event-stream');
      response.write(text, () => (cut ? response.destroy() : response.end()));
    };

  const log = (text: string): string => `event: log\ndata: ${JSON.stringify(text)}\n\n`;
  const END = 'event: end\ndata: {"callNum":1,"status":"DONE"}\n\n';

  async function follow(): Promise<string[]> {
    const pieces: string[] = [];
    expect(await panal.calls.wait(1, { onLogs: (piece) => pieces.push(piece) })).to.include({
      status: 'DONE',
    });
    return pieces;
  }

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  it('passes on logs piece by piece until the end', async () => {
    await serve('ab\n', stream(`${log('a')}${log('b\n')}${END}`));
    expect(await follow()).to.deep.equal(['a', 'b\n']);
  });

  it('goes on if the connection breaks, and shows nothing twice', async () => {
    await serve('abc', stream(log('a'), { cut: true }), stream(`${log('ab')}${log('c')}${END}`));
    expect(await follow()).to.deep.equal(['a', 'b', 'c']);
  });

  it('shows the logs of every attempt', async () => {
    const attempt = 'event: attempt\ndata: {"attempt":2}\n\n';
    await serve('same', stream(`${log('same')}${attempt}${log('same')}${END}`));
    expect(await follow()).to.deep.equal(['same', 'same']);
  });

  it('shows at the end what no stream brought', async () => {
    await serve('abc', stream(log('a')));
    expect(await follow()).to.deep.equal(['a', 'bc']);
  });

  it('does without live logs if the cluster has none', async () => {
    const missing: RequestListener = (_request, response) => {
      response.writeHead(404).end('{"error":{"code":"NOT_FOUND","message":"there is no /call/1/logs"}}');
    };
    await serve('abc', missing, missing);
    expect(await follow()).to.deep.equal(['abc']);
  });

  it('ignores comments and events that only a newer broker knows', async () => {
    await serve('ab', stream(`: ping\n\n${log('a')}event: progress\r\ndata: 1\r\n\r\n${log('b')}${END}`));
    expect(await follow()).to.deep.equal(['a', 'b']);
  });

  it('puts together what comes in pieces, and leaves out an event that is cut off', async () => {
    // The data of the first event are on two lines.
    const text =
      ': hello\nevent: attempt\r\nid: 7\ndata: {\ndata:"attempt":1}\r\n\r\nevent: log\rdata: "ü"\r\r';
    const bytes = Buffer.from(`${text}event: log\ndata: "cut off"\n`);
    await serve('ü', (_request, response) => {
      response.setHeader('Content-Type', 'text/event-stream');
      Readable.from(Array.from(bytes, (byte) => Buffer.of(byte))).pipe(response);
    });
    const events: unknown[] = [];
    for await (const event of panal.calls.logs(1)) events.push(event);
    expect(events).to.deep.equal([
      { type: 'attempt', attempt: 1 },
      { type: 'log', text: 'ü' },
    ]);
  });
});

describe('Following a call with @panal/client while its broker restarts', () => {
  const folder = temporaryFolder();

  it('ends with the call', async () => {
    const settings = { PORT: String(await freePorts(1)) };
    let broker = await LiveBroker.start(folder(), settings);
    try {
      await broker.register('f');
      const panal = new Panal({ url: broker.url });
      const { callNum } = await panal.calls.start('f');
      const ended = panal.calls.wait(callNum);
      await broker.stop();
      broker = await LiveBroker.start(folder(), settings);
      await broker.worker();
      expect(await ended).to.include({ callNum, status: 'DONE' });
    } finally {
      await broker.stop();
    }
  });
});

import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { Client } from '../../cli/src/client.js';
import { followCall } from '../../cli/src/follow.js';
import { readEvents, type ServerEvent } from '../../cli/src/server-events.js';

const CALL = { callNum: 1, funcName: 'f', version: 1, status: 'DONE', attempts: 1, acceptedAt: '' };

describe('followCall', () => {
  let server: Server;
  let client: Client;

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
    client = new Client({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  }

  const stream =
    (text: string, { cut = false } = {}): RequestListener =>
    (_request, response) => {
      response.setHeader('Content-Type', 'text/event-stream');
      response.write(text, () => (cut ? response.destroy() : response.end()));
    };

  const log = (text: string): string => `event: log\ndata: ${JSON.stringify(text)}\n\n`;

  async function follow(): Promise<string[]> {
    const pieces: string[] = [];
    const options = { onLogs: (piece: string) => pieces.push(piece), signal: new AbortController().signal };
    expect(await followCall(client, 1, options)).to.include({ status: 'DONE' });
    return pieces;
  }

  afterEach(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });

  it('passes on logs piece by piece until the end', async () => {
    await serve('ab\n', stream(`${log('a')}${log('b\n')}event: end\ndata: {"status":"DONE"}\n\n`));
    expect(await follow()).to.deep.equal(['a', 'b\n']);
  });

  it('goes on where the connection breaks, and shows nothing twice', async () => {
    await serve(
      'abc',
      stream(log('a'), { cut: true }),
      stream(`${log('ab')}${log('c')}event: end\ndata: {}\n\n`),
    );
    expect(await follow()).to.deep.equal(['a', 'b', 'c']);
  });

  it('shows the logs of every attempt', async () => {
    const attempt = 'event: attempt\ndata: {"attempt":2}\n\n';
    await serve('same', stream(`${log('same')}${attempt}${log('same')}event: end\ndata: {}\n\n`));
    expect(await follow()).to.deep.equal(['same', 'same']);
  });

  it('shows at the end what no stream brought', async () => {
    await serve('abc', stream(log('a')));
    expect(await follow()).to.deep.equal(['a', 'bc']);
  });

  it('does without live logs where the cluster has none', async () => {
    const missing: RequestListener = (_request, response) => {
      response.writeHead(404).end('{"error":{"code":"NOT_FOUND","message":"there is no /call/1/logs"}}');
    };
    await serve('abc', missing, missing);
    expect(await follow()).to.deep.equal(['abc']);
  });
});

describe('readEvents', () => {
  async function read(...chunks: string[]): Promise<ServerEvent[]> {
    const events: ServerEvent[] = [];
    async function* stream(): AsyncGenerator<Uint8Array, void, undefined> {
      for (const chunk of chunks) yield Buffer.from(chunk, 'latin1');
    }
    for await (const event of readEvents(stream())) events.push(event);
    return events;
  }

  it('reads names, data of several lines and ids, and leaves out comments', async () => {
    expect(await read(': hello\nevent: log\nid: 7\ndata: a\ndata:b\n\n: ping\n\ndata\n\n')).to.deep.equal([
      { event: 'log', data: 'a\nb', id: '7' },
      { event: 'message', data: '' },
    ]);
  });

  it('puts together what comes in pieces', async () => {
    const text = Buffer.from('event: log\r\ndata: "ü"\r\n\r\nevent: end\rdata: 1\r\r').toString('latin1');
    expect(await read(...text.split(''))).to.deep.equal([
      { event: 'log', data: '"ü"' },
      { event: 'end', data: '1' },
    ]);
  });

  it('leaves out an event that is cut off', async () => {
    expect(await read('data: whole\n\ndata: half\n')).to.deep.equal([{ event: 'message', data: 'whole' }]);
  });
});

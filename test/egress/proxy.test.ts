import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { upstreamOf } from '../../worker/src/egress/connect.js';
import { EgressPolicy } from '../../worker/src/egress/policy.js';
import { EgressProxy } from '../../worker/src/egress/proxy.js';
import { temporaryFolder } from '../support/folder.js';

const LOOPBACK = { address: '127.0.0.1', prefix: 32, family: 'ipv4' as const };

describe('The proxy of dependencies', () => {
  const folder = temporaryFolder();
  const open: { close(): unknown }[] = [];
  let registry: Server;
  let seen: IncomingMessage[];

  beforeEach(async () => {
    seen = [];
    registry = createServer((incoming, answer) => {
      seen.push(incoming);
      void text(incoming).then((body) => answer.setHeader('x-from', 'registry').end(`package ${body}`));
    });
    await listen(registry);
  });
  afterEach(() => {
    for (const each of open.splice(0)) each.close();
  });

  async function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<void> {
    open.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }

  const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

  /** A proxy on a unix socket, which lets its clients reach `networks`. */
  async function proxy(networks = [LOOPBACK], upstream?: string, checked = false): Promise<string> {
    const path = join(folder(), `proxy-${open.length}`);
    const policy = new EgressPolicy({ hosts: [], networks, cluster: [] });
    const made = new EgressProxy(policy, upstream === undefined ? undefined : upstreamOf(upstream, checked));
    open.push(made);
    await made.listen(path);
    return path;
  }

  async function get(socketPath: string, path: string, body = ''): Promise<[number, string]> {
    const headers = { host: 'registry', 'proxy-authorization': 'secret' };
    const asked = request({ socketPath, path, method: 'POST', headers, agent: false });
    asked.end(body);
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    return [answer.statusCode ?? 0, await text(answer)];
  }

  /** The URL of a server that answers `answer`, whatever it is asked. */
  async function raw(answer: string): Promise<string> {
    const server = createTcpServer((socket) => socket.once('data', () => socket.end(answer)));
    await listen(server);
    return `http://127.0.0.1:${portOf(server)}/`;
  }

  async function tunnel(socketPath: string, authority: string): Promise<[IncomingMessage, Socket]> {
    const asked = request({ socketPath, path: authority, method: 'CONNECT', agent: false });
    asked.end();
    const [answer, socket, head] = (await once(asked, 'connect')) as [IncomingMessage, Socket, Buffer];
    socket.unshift(head);
    return [answer, socket];
  }

  it('tunnels to what may be reached', async () => {
    const [answer, socket] = await tunnel(await proxy(), `127.0.0.1:${portOf(registry)}`);
    expect(answer.statusCode).to.equal(200);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(await text(socket)).to.match(/^HTTP\/1.1 200[^]*package/);
  });

  it('passes plain requests on, without what is for proxies', async () => {
    const url = `http://127.0.0.1:${portOf(registry)}/simple/?a=b`;
    expect(await get(await proxy(), url, 'wanted')).to.deep.equal([200, 'package wanted']);
    expect(seen[0]?.url).to.equal('/simple/?a=b');
    expect(seen[0]?.headers).to.not.have.property('proxy-authorization');
  });

  it('names the host that a request is for, whatever its client says', async () => {
    const port = portOf(registry);
    await get(await proxy(), `http://127.0.0.1:${port}/`);
    expect(seen[0]?.headers.host).to.equal(`127.0.0.1:${port}`);
  });

  it('serves no TRACE', async () => {
    const path = `http://127.0.0.1:${portOf(registry)}/`;
    const asked = request({ socketPath: await proxy(), path, method: 'TRACE', agent: false });
    asked.end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    expect(answer.statusCode).to.equal(403);
    expect(seen).to.deep.equal([]);
  });

  it('passes on requests and answers that announce trailers', async () => {
    const path = await proxy();
    const url = `http://127.0.0.1:${portOf(registry)}/`;
    const headers = { trailer: 'x-sum', 'transfer-encoding': 'chunked' };
    const asked = request({ socketPath: path, path: url, method: 'POST', headers, agent: false });
    asked.end('wanted');
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    expect(await text(answer)).to.equal('package wanted');
    const bare = await raw('HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nContent-Length: 2\r\n\r\nok');
    expect(await get(path, bare)).to.deep.equal([200, 'ok']);
  });

  it('outlives answers that are none', async () => {
    const path = await proxy();
    expect((await get(path, await raw('HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n')))[0]).to.equal(502);
    expect((await get(path, await raw('not HTTP')))[0]).to.equal(502);
  });

  it('drops what it asked for when its client leaves', async () => {
    const silent = createTcpServer();
    await listen(silent);
    const client = connect(await proxy());
    const connected = once(silent, 'connection');
    client.write(`GET http://127.0.0.1:${portOf(silent)}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
    const [socket] = (await connected) as [Socket];
    client.destroy();
    socket.resume();
    await once(socket, 'close');
  });

  it('makes no more connections for its clients than they may have, and as many again', async () => {
    const held: Socket[] = [];
    const silent = createTcpServer((socket) => {
      // With the client's own it is the 512th.
      if (held.push(socket) < 511) return;
      for (const each of held) each.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n');
    });
    await listen(silent);
    const client = connect(await proxy());
    const asked = `GET http://127.0.0.1:${portOf(silent)}/ HTTP/1.1\r\nHost: x\r\n\r\n`;
    client.write(asked.repeat(515));
    // The answer that is refused ends the connection.
    const answers = await text(client);
    expect(answers.match(/^HTTP.1.1 204 /gm)).to.have.length(511);
    expect(answers).to.match(/HTTP.1.1 503 too many connections at once/);
    expect(held).to.have.length(511);
  });

  it('refuses everything else, and says why', async () => {
    const path = await proxy([]);
    const port = portOf(registry);
    const [answer] = await tunnel(path, `127.0.0.1:${port}`);
    expect(answer.statusCode).to.equal(403);
    expect(answer.statusMessage).to.contain('127.0.0.1 belongs to the cluster');
    expect((await tunnel(path, '169.254.169.254:80'))[0].statusCode).to.equal(403);
    for (const url of [`http://127.0.0.1:${port}/`, `http://[::ffff:127.0.0.1]:${port}/`, '/', 'ftp://x/']) {
      expect((await get(path, url))[0]).to.equal(403);
    }
    expect(seen).to.deep.equal([]);
  });

  it('goes through the proxy that the operator names', async () => {
    const before = createServer((incoming, answer) => {
      seen.push(incoming);
      answer.end(`by the proxy: ${incoming.url}`);
    });
    before.on('connect', (incoming: IncomingMessage, client: Socket) => {
      seen.push(incoming);
      client.end('HTTP/1.1 200 OK\r\n\r\nthrough');
    });
    await listen(before);
    const path = await proxy([], `http://user:pass@127.0.0.1:${portOf(before)}`);
    const url = 'http://packages.invalid/simple';
    expect(await get(path, url)).to.deep.equal([200, `by the proxy: ${url}`]);
    const [, socket] = await tunnel(path, 'packages.invalid:443');
    expect(await text(socket)).to.equal('through');
    for (const { headers } of seen) expect(headers['proxy-authorization']).to.equal('Basic dXNlcjpwYXNz');
    // Addresses that are refused are so with a proxy, too.
    expect((await get(path, 'http://169.254.169.254/'))[0]).to.equal(403);
    expect((await tunnel(path, '127.0.0.1:443'))[0].statusCode).to.equal(403);
  });

  it('does not go through a proxy that a user names, and that may not be reached', async () => {
    const path = await proxy([], `http://127.0.0.1:${portOf(registry)}`, true);
    expect((await get(path, 'http://packages.invalid/'))[0]).to.equal(403);
    expect((await tunnel(path, 'packages.invalid:443'))[0].statusCode).to.equal(403);
    expect(seen).to.deep.equal([]);
  });

  it('ends what goes through it when it is closed, and outlives clients that go away', async () => {
    const held: Socket[] = [];
    const silent = createTcpServer((socket) => held.push(socket));
    await listen(silent);
    const path = await proxy();
    const client = connect(path);
    client.write(`CONNECT 127.0.0.1:${portOf(silent)} HTTP/1.1\r\n\r\n`);
    await once(client, 'data');
    client.destroy();
    const [one] = held;
    if (one === undefined) throw new Error('nothing connected');
    one.resume();
    await once(one, 'close');
    const [, socket] = await tunnel(path, `127.0.0.1:${portOf(silent)}`);
    open.splice(open.length - 1)[0]?.close();
    socket.resume();
    await once(socket, 'close');
  });
});

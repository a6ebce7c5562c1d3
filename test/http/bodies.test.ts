import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { temporaryFolder } from '../support/folder.js';
import { LiveBroker } from '../support/live-broker.js';
import { memoryInUse } from '../support/memory-in-use.js';
import { eventually } from '../../testkit/wait.js';

const MiB = 1024 * 1024;
const LARGE = `"${'x'.repeat(MiB - 2)}"`;
const HALF = LARGE.slice(0, MiB / 2);

const basic = (user: string): string => `Basic ${Buffer.from(`${user}:a fine password`).toString('base64')}`;

/** Clients that write HTTP as a test tells them to, and keep what they hear. */
class Clients {
  readonly #port: number;
  readonly #sockets: Socket[] = [];
  readonly heard: string[] = [];

  constructor(url: string) {
    this.#port = Number(new URL(url).port);
  }

  /** Sends the head of a request and some of its body; resolves when all of that is with the kernel. */
  async send(
    path: string,
    length: number,
    begin: string,
    headers: Record<string, string> = {},
  ): Promise<Socket> {
    const socket = connect(this.#port, '127.0.0.1');
    this.#sockets.push(socket);
    const index = this.heard.push('') - 1;
    socket.on('data', (bytes: Buffer) => (this.heard[index] = (this.heard[index] ?? '') + bytes.toString()));
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    const all = Object.entries({ Host: 'x', ...headers, 'Content-Length': String(length) });
    const head = `POST ${path} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
    await new Promise<void>((resolve) => socket.write(head + begin, () => resolve()));
    return socket;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

function expectRefusal(text: string): void {
  expect(text)
    .to.match(/^HTTP\/1.1 429 /)
    .and.to.match(/\r\nretry-after: 1\r\n/i)
    .and.to.contain('"code":"QUEUE_FULL"')
    .and.to.contain('FAAS_BODIES_MB');
}

describe('The bodies of requests', () => {
  let broker: LiveBroker;
  let clients: Clients;
  // Before its folder goes.
  afterEach(async () => {
    clients.close();
    await broker.stop();
  });
  const folder = temporaryFolder();

  async function start(settings: Record<string, string>): Promise<void> {
    broker = await LiveBroker.start(folder(), settings);
    clients = new Clients(broker.url);
    await broker.register('dice');
  }

  const refused = (): string[] => clients.heard.filter((text) => text.endsWith('}}'));

  async function pending(headers: Record<string, string> = {}): Promise<number> {
    const calls = await fetch(`${broker.url}/calls?status=PENDING&limit=100`, { headers });
    return Object.keys((await calls.json()) as object).length;
  }

  for (const [path, begin] of [
    ['/run/dice', ''],
    ['/invokeFunction', '{"funcName":"dice","params":'],
    ['/registerFunction', '{"functionName":"dice","image":'],
  ] as const) {
    it(`that come in at once to ${path} are bounded: the one that has come for longest is refused`, async () => {
      await start({ FAAS_BODIES_MB: '4' });
      for (let count = 0; count < 12; count++) await clients.send(path, MiB, begin + HALF);
      await eventually('the first are refused', () => refused().length >= 5);
      expect(clients.heard.slice(0, 5)).to.deep.equal(refused().slice(0, 5));
      for (const text of refused()) expectRefusal(text);
      expect(clients.heard.slice(9).join('')).to.equal('');
    });
  }

  it('of the owner with the most bytes are refused, not those of another', async () => {
    await start({ FAAS_BODIES_MB: '4' });
    const headers = { Authorization: basic('ana') };
    await fetch(`${broker.url}/register`, { method: 'POST', headers });
    const own = JSON.stringify({ functionName: 'own', image: 'example/own' });
    await fetch(`${broker.url}/registerFunction`, { method: 'POST', headers, body: own });
    const begun = await clients.send('/run/own', MiB, HALF, headers);
    for (let count = 0; count < 12; count++) await clients.send('/run/dice', MiB, HALF);
    await eventually('some are refused', () => refused().length >= 6);
    const body = JSON.stringify({ funcName: 'own', params: 'x'.repeat(MiB / 2) });
    const whole = await fetch(`${broker.url}/invokeFunction`, { method: 'POST', headers, body });
    expect(whole.status).to.equal(202);
    begun.write(LARGE.slice(MiB / 2));
    await eventually('the one that came slowly is accepted', async () => (await pending(headers)) === 2);
  });

  it('that come byte by byte count with the memory that they take', async () => {
    await start({ FAAS_BODIES_MB: '4' });
    const socket = await clients.send('/run/dice', MiB, '');
    socket.setNoDelay();
    const bytes = setInterval(() => socket.write('x'), 1);
    await clients.send('/run/dice', MiB, LARGE.slice(0, MiB - 5000));
    await clients.send('/run/dice', MiB, LARGE.slice(0, MiB - 20_000));
    await eventually('one is refused', () => refused().length > 0);
    clearInterval(bytes);
  });

  for (const [path, body] of [
    ['/run/dice', LARGE],
    ['/invokeFunction?wait=60', `{"funcName":"dice","params":"${'x'.repeat(MiB - 100)}"}`],
    ['/invokeFunction?wait=60', `{"funcName":"dice","params":[${'[],'.repeat(300_000)}1]}`],
  ] as const) {
    it(`are not in memory while their clients wait for the call: ${path} ${body.slice(-3)}`, async () => {
      await start({ FAAS_BODIES_MB: '128', FAAS_PARAMS_MEMORY_MB: '1' });
      const before = memoryInUse();
      for (let count = 0; count < 32; count++) await clients.send(path, Buffer.byteLength(body), body);
      await eventually('all are accepted', async () => (await pending()) === 32);
      await eventually('their bodies are gone', () => memoryInUse() - before < 12 * MiB);
    });
  }

  it('and what came with them in one packet are not in memory while the call waits', async () => {
    await start({});
    const headers = { 'x-large': 'y'.repeat(15_000) };
    const init = { method: 'POST', headers, body: '{"funcName":"dice","params":1}' };
    const before = memoryInUse();
    for (let count = 0; count < 300; count++)
      await (await fetch(`${broker.url}/invokeFunction`, init)).text();
    expect(memoryInUse() - before).to.be.below(3 * MiB);
  });
});

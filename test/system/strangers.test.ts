import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'chai';
import { curveKeyPair, Dealer } from 'zeromq';
import { encode } from '@panal/transport';
import { Site } from '../../fuzz/site.js';
import { temporaryFolder } from '../support/folder.js';
import type { CurveClient } from '../support/scripted-worker.js';
import { eventually } from '../../testkit/wait.js';

const hello = {
  ...{
    type: 'hello',
    protocol: 1,
    worker: 'stranger',
    host: 'x',
    slots: 4,
    sandbox: 'process',
    path: 'direct',
  },
  leases: [],
};
/** Of no bundle there is: whoever may ask is told so. */
const fetchChunk = { type: 'fetch', sha256: 'a'.repeat(64), offset: 0, length: 1 };
const FLOOD_FRAMES = 400;
const FLOOD_FRAME = Buffer.alloc(256 * 1024);

describe('A broker with CURVE keys', () => {
  const folder = temporaryFolder();
  const [server, client, other] = [curveKeyPair(), curveKeyPair(), curveKeyPair()];
  const keysOf = (pair: typeof client): CurveClient => ({
    curveServerKey: server.publicKey,
    curvePublicKey: pair.publicKey,
    curveSecretKey: pair.secretKey,
  });
  let site: Site;
  const sockets: Dealer[] = [];

  beforeEach(async () => {
    const settings = {
      FAAS_CURVE_SERVER_SECRET: server.secretKey,
      FAAS_CURVE_SERVER_PUBLIC: server.publicKey,
      FAAS_CURVE_CLIENT_SECRET: client.secretKey,
      FAAS_CURVE_CLIENT_PUBLIC: client.publicKey,
    };
    site = await Site.open({ folder: folder(), settings });
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.close();
    await site.close();
  });

  /** Asks both channels that answer; the words that come back are put into `heard`. */
  function ask(keys: Partial<CurveClient>, heard: string[]): void {
    for (const [offset, message] of [
      [0, hello],
      [2, fetchChunk],
    ] as const) {
      const dealer = new Dealer({ linger: 0, ...keys });
      sockets.push(dealer);
      dealer.connect(`tcp://127.0.0.1:${site.zmqPort + offset}`);
      void listen(dealer, heard);
      void dealer.send(encode([{ message, parts: [] }]));
    }
  }

  async function listen(dealer: Dealer, heard: string[]): Promise<void> {
    for await (const [head] of dealer) heard.push(head?.toString() ?? '');
  }

  it('has no word for a worker without the right one, on no channel', async () => {
    const [plain, strange, right]: [string[], string[], string[]] = [[], [], []];
    ask({}, plain);
    ask(keysOf(other), strange);
    ask({ ...keysOf(client), curveServerKey: other.publicKey }, strange);
    // Whoever has the key is told something, on both, and asked later: the others had their time.
    ask(keysOf(client), right);
    await eventually(
      'the right one is answered',
      () => right.some((text) => text.includes('welcome')) && right.some((text) => text.includes('chunk')),
    );
    await site.canary();
    expect([...plain, ...strange]).to.deep.equal([]);
  });

  it('keeps nothing of what they send', async () => {
    const before = await site.vitals();
    for (const mechanism of ['NULL', 'PLAIN', 'CURVE']) {
      for (const offset of [0, 1, 2]) await flood(site.zmqPort + offset, mechanism);
    }
    await site.canary();
    const { rssMiB } = await site.vitals();
    expect(rssMiB - before.rssMiB).to.be.below(64);
  });
});

/** Greets as ZMTP 3 does (ZeroMQ RFC 23), and begins a frame that is larger than memory. Resolves when it is cut off. */
async function flood(port: number, mechanism: string): Promise<void> {
  const greeting = Buffer.alloc(64);
  greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0]);
  greeting.write(mechanism, 12);
  const frame = Buffer.from([2, 0, 0, 0, 0x10, 0, 0, 0, 0]);
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined).resume();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(Buffer.concat([greeting, frame]));
  for (let sent = 0; sent < FLOOD_FRAMES && !socket.destroyed; sent++) {
    if (!socket.write(FLOOD_FRAME))
      await Promise.race([once(socket, 'drain').catch(() => undefined), closed]);
  }
  await closed;
}

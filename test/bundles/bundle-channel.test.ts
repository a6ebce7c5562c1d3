import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BundleRef } from '@panal/protocol';
import { bundleReplySchema, decode, encode, type BundleReply } from '@panal/transport';
import { expect } from 'chai';
import * as zmq from 'zeromq';
import { PlatformError } from '../../worker/src/errors.js';
import { temporaryFolder } from '../support/folder.js';
import { eventually } from '../../testkit/wait.js';
import { Channel, collect, never, requestsAt } from './channel.js';

const MiB = 1024 * 1024;

describe('the bundle channel', () => {
  const folder = temporaryFolder();
  let channel: Channel;

  beforeEach(async () => {
    channel = new Channel(folder());
    await channel.store.open();
  });

  afterEach(async () => {
    await channel.stop();
  });

  async function stored({ sha256 }: BundleRef): Promise<Buffer> {
    return await readFile(join(folder(), 'bundles', sha256));
  }

  async function failure(promise: Promise<unknown>): Promise<PlatformError> {
    const error: unknown = await promise.catch((e: unknown) => e);
    if (!(error instanceof PlatformError)) throw new Error('expected a PlatformError', { cause: error });
    expect(error.error.code).to.equal('BUNDLE_UNAVAILABLE');
    return error;
  }

  it('brings 50 MB to the byte, each chunk once', async () => {
    const ref = await channel.put(50_000_000);
    const { port } = await channel.serve();
    const bytes = await collect(channel.client(port).fetch(ref, 0, never));
    expect(bytes.equals(await stored(ref))).to.equal(true);
    expect(channel.watched.reads).to.equal(Math.ceil(ref.size / (MiB / 4)));
  }).timeout(60_000);

  it('brings the rest of a bundle from any byte on', async () => {
    const ref = await channel.put(MiB);
    const { port } = await channel.serve();
    const client = channel.client(port);
    const whole = await stored(ref);
    expect((await collect(client.fetch(ref, 300_001, never))).equals(whole.subarray(300_001))).to.equal(true);
    expect(await collect(client.fetch(ref, ref.size, never))).to.have.length(0);
  });

  it('brings several bundles at once', async () => {
    const refs = [await channel.put(3 * MiB), await channel.put(2 * MiB), await channel.put(100)];
    const { port } = await channel.serve();
    const client = channel.client(port);
    const fetched = await Promise.all(refs.map((ref) => collect(client.fetch(ref, 0, never))));
    for (const [index, ref] of refs.entries()) {
      expect(fetched[index]?.equals(await stored(ref))).to.equal(true);
    }
  });

  it('waits for a broker that comes later', async () => {
    const ref = await channel.put(MiB);
    const { server, port } = await channel.serve();
    await server.stop();
    const bytes = collect(channel.client(port).fetch(ref, 0, never));
    await channel.serve(port);
    expect((await bytes).equals(await stored(ref))).to.equal(true);
  });

  for (const how of ['on its own', 'when told to connect again']) {
    it(`goes on after the broker restarted, ${how}`, async () => {
      const ref = await channel.put(8 * MiB);
      const { server, port } = await channel.serve();
      const told = how !== 'on its own';
      const client = channel.client(port, { silenceMs: told ? 60_000 : 50, giveUpMs: 120_000 });
      const gone = new Promise<void>((resolve) => {
        channel.watched.before = (read) => {
          if (read === 12) void server.stop().then(resolve);
        };
      });
      const bytes = collect(client.fetch(ref, 0, never));
      await gone;
      expect(channel.watched.reads).to.be.lessThan(33);
      await channel.serve(port);
      if (told) client.connect(requestsAt(port));
      expect((await bytes).equals(await stored(ref))).to.equal(true);
    });
  }

  it('asks again for a reply that was lost between others', async () => {
    const ref = await channel.put(4 * MiB);
    const whole = await stored(ref);
    const router = new zmq.Router({ linger: 0 });
    await router.bind('tcp://127.0.0.1:0');
    const asked: number[] = [];
    const serving = answer(router, ({ offset, length }) => {
      asked.push(offset);
      const lost = offset === MiB && asked.filter((each) => each === MiB).length === 1;
      return lost ? undefined : { bytes: whole.subarray(offset, offset + length), size: ref.size };
    });
    const client = channel.client(Number(router.lastEndpoint?.split(':').at(-1)), { silenceMs: 60_000 });
    expect((await collect(client.fetch(ref, 0, never))).equals(whole)).to.equal(true);
    expect(asked.filter((offset) => offset === MiB)).to.have.length(2);
    router.close();
    await serving;
  });

  it('never has more chunks under way than its credit', async () => {
    const refs = [await channel.put(3 * MiB), await channel.put(3 * MiB)];
    const router = new zmq.Router({ linger: 0 });
    await router.bind('tcp://127.0.0.1:0');
    const requests: string[] = [];
    const serving = (async () => {
      for await (const [, head] of router) requests.push(String(head));
    })();
    const client = channel.client(Number(router.lastEndpoint?.split(':').at(-1)), { silenceMs: 60_000 });
    const aborts = new AbortController();
    const fetches = refs.map((ref) => collect(client.fetch(ref, 0, aborts.signal)).catch((e: unknown) => e));
    const asked = (): number => requests.flatMap((head) => JSON.parse(head) as unknown[]).length;
    await eventually('the credit is used', () => asked() === 8);
    aborts.abort();
    await Promise.all(fetches);
    expect(asked()).to.equal(8);
    router.close();
    await serving;
  });

  it('says so where the broker does not have the bundle', async () => {
    const ref = await channel.put(MiB);
    await channel.store.remove(ref.sha256, () => Promise.resolve(false));
    const { port } = await channel.serve();
    const error = await failure(collect(channel.client(port).fetch(ref, 0, never)));
    expect(error.message).to.include(ref.sha256);
  });

  it('says so where the broker has a file of another size', async () => {
    const ref = await channel.put(MiB);
    const { port } = await channel.serve();
    await failure(collect(channel.client(port).fetch({ ...ref, size: ref.size + 1 }, 0, never)));
  });

  it('gives up on a broker that stays silent', async () => {
    const ref = await channel.put(MiB);
    const { server, port } = await channel.serve();
    await server.stop();
    const client = channel.client(port, { silenceMs: 20, giveUpMs: 60 });
    expect((await failure(collect(client.fetch(ref, 0, never)))).message).to.include('silent');
  });

  it('fails what is under way when it is closed', async () => {
    const ref = await channel.put(MiB);
    const { server, port } = await channel.serve();
    await server.stop();
    const client = channel.client(port);
    const fetched = failure(collect(client.fetch(ref, 0, never)));
    client.close();
    await fetched;
  });

  it('stops at once when it is aborted, with the reason', async () => {
    const ref = await channel.put(4 * MiB);
    const { port } = await channel.serve();
    const client = channel.client(port);
    const aborts = new AbortController();
    const reason = new Error('cancelled');
    channel.watched.before = (read) => {
      if (read === 3) aborts.abort(reason);
    };
    const error: unknown = await collect(client.fetch(ref, 0, aborts.signal)).catch((e: unknown) => e);
    expect(error).to.equal(reason);
    // And what comes late for it harms nobody.
    expect((await collect(client.fetch(ref, 0, never))).equals(await stored(ref))).to.equal(true);
  });

  it('drops garbage, and serves on', async () => {
    const ref = await channel.put(1000);
    const { port } = await channel.serve();
    const peer = new zmq.Dealer({ linger: 0 });
    peer.connect(`tcp://127.0.0.1:${port}`);
    const huge = { type: 'fetch', sha256: ref.sha256, offset: 0, length: 2 ** 40 };
    for (const frames of [
      ['x'],
      ['', ''],
      ['[]', 'body'],
      ['{}', ''],
      ['null', ''],
      [randomBytes(500), randomBytes(500)],
      ['a', 'b', 'c'],
      encode([{ message: huge, parts: [] }]),
      encode([{ message: { type: 'fetch', sha256: '../../etc/passwd', offset: 0, length: 1 }, parts: [] }]),
      encode([{ message: { type: 'fetch', sha256: ref.sha256, offset: -1, length: 1 }, parts: [] }]),
    ]) {
      await peer.send(frames);
    }
    await peer.send(encode([{ message: { ...huge, length: 10 }, parts: [] }]));
    const [reply] = decode(await peer.receive(), bundleReplySchema);
    expect(reply?.message.found).to.equal(true);
    peer.close();
    expect(await collect(channel.client(port).fetch(ref, 0, never))).to.have.length(ref.size);
  });

  it('answers no more of one message than a worker may ask for', async () => {
    const ref = await channel.put(1000);
    const { port } = await channel.serve();
    const peer = new zmq.Dealer({ linger: 0 });
    peer.connect(`tcp://127.0.0.1:${port}`);
    const fetch = (offset: number): { message: object; parts: [] } => ({
      message: { type: 'fetch', sha256: ref.sha256, offset, length: 1 },
      parts: [],
    });
    await peer.send(encode(Array.from({ length: 100 }, (_, offset) => fetch(offset))));
    await peer.send(encode([fetch(500)]));
    await eventually('the last was answered', async () => {
      const [reply] = decode(await peer.receive(), bundleReplySchema);
      return reply?.message.offset === 500;
    });
    expect(channel.watched.reads).to.equal(17);
    peer.close();
  });

  it('is not held up by a peer that asks and does not read, nor by one that is gone', async () => {
    const ref = await channel.put(8 * MiB);
    const { port } = await channel.serve();
    const greedy = new zmq.Dealer({ linger: 0, receiveHighWaterMark: 1 });
    greedy.connect(`tcp://127.0.0.1:${port}`);
    const gone = new zmq.Dealer({ linger: 0 });
    gone.connect(`tcp://127.0.0.1:${port}`);
    const fetch = { type: 'fetch', sha256: ref.sha256, offset: 0, length: MiB };
    for (let request = 0; request < 200; request += 1)
      await greedy.send(encode([{ message: fetch, parts: [] }]));
    await gone.send(encode([{ message: fetch, parts: [] }]));
    gone.close();
    expect((await collect(channel.client(port).fetch(ref, 0, never))).equals(await stored(ref))).to.equal(
      true,
    );
    greedy.close();
  });

  it('speaks CURVE where its sockets do, and not to others', async () => {
    const ref = await channel.put(MiB);
    const broker = zmq.curveKeyPair();
    const worker = zmq.curveKeyPair();
    const { port } = await channel.serve(0, {
      curve: { ...broker, clientKey: worker.publicKey },
    });
    const keys = {
      curvePublicKey: worker.publicKey,
      curveSecretKey: worker.secretKey,
      curveServerKey: broker.publicKey,
    };
    const bytes = await collect(channel.client(port, { keys }).fetch(ref, 0, never));
    expect(bytes.equals(await stored(ref))).to.equal(true);

    const plain = channel.client(port, { silenceMs: 30, giveUpMs: 90 });
    await failure(collect(plain.fetch(ref, 0, never)));
  });

  it('says that the port is taken', async () => {
    const { port } = await channel.serve();
    const error: unknown = await channel
      .server()
      .start(`tcp://127.0.0.1:${port}`)
      .catch((e: unknown) => e);
    expect(error).to.have.property('code', 'EADDRINUSE');
  });
});

/** Answers fetches as `part` says, until the socket is closed; `undefined` is no answer at all. */
async function answer(
  router: zmq.Router,
  part: (request: { offset: number; length: number }) => { bytes: Uint8Array; size: number } | undefined,
): Promise<void> {
  for await (const [peer, head] of router) {
    const requests = JSON.parse(String(head)) as { sha256: string; offset: number; length: number }[];
    for (const { sha256, offset, length } of requests) {
      const found = part({ offset, length });
      if (found === undefined) continue;
      const message: BundleReply = { type: 'chunk', sha256, offset, size: found.size, found: true };
      await router.send([peer ?? '', ...encode([{ message, parts: [found.bytes] }])]);
    }
  }
}

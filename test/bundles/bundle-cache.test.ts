import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BundleRef } from '@panal/protocol';
import { expect } from 'chai';
import { BundleCache, type BundleFetcher } from '../../worker/src/bundles/bundle-cache.js';
import { PlatformError } from '../../worker/src/errors.js';
import { temporaryFolder } from '../support/folder.js';
import { eventually } from '../../testkit/wait.js';
import { Channel, never } from './channel.js';

/** A fetcher that a test feeds by hand, piece by piece. */
class HandFetcher implements BundleFetcher {
  readonly calls: { from: number; signal: AbortSignal }[] = [];
  pieces: (from: number, signal: AbortSignal) => AsyncIterable<Uint8Array>;

  constructor(pieces: HandFetcher['pieces']) {
    this.pieces = pieces;
  }

  fetch(_ref: BundleRef, from: number, signal: AbortSignal): AsyncIterable<Uint8Array> {
    this.calls.push({ from, signal });
    return this.pieces(from, signal);
  }
}

describe('the bundle cache', () => {
  const folder = temporaryFolder();
  const code = randomBytes(100_000);
  const ref: BundleRef = {
    sha256: createHash('sha256').update(code).digest('hex'),
    size: code.byteLength,
    format: 'zip',
  };
  const file = (): string => join(folder(), 'bundles', ref.sha256);

  function cacheOf(pieces: HandFetcher['pieces']): { cache: BundleCache; fetcher: HandFetcher } {
    const fetcher = new HandFetcher(pieces);
    return { cache: new BundleCache({ dir: folder(), fetcher }), fetcher };
  }

  async function* whole(from: number): AsyncGenerator<Uint8Array> {
    yield code.subarray(from, Math.max(from, 60_000));
    yield code.subarray(Math.max(from, 60_000));
  }

  /** The first 60,000 bytes, and then nothing until it is aborted. */
  async function* stuck(from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    yield code.subarray(from, 60_000);
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  }

  async function* broken(from: number): AsyncGenerator<Uint8Array> {
    yield code.subarray(from, 60_000);
    throw new PlatformError('BUNDLE_UNAVAILABLE', 'the broker is silent');
  }

  async function failure(promise: Promise<unknown>): Promise<unknown> {
    return await promise.then(
      () => undefined,
      (error: unknown) => error,
    );
  }

  it('gives the path of the whole bundle', async () => {
    const { cache } = cacheOf(whole);
    expect(await cache.get(ref, never)).to.equal(file());
    expect((await readFile(file())).equals(code)).to.equal(true);
    expect(await readdir(join(folder(), 'bundles'))).to.deep.equal([ref.sha256]);
  });

  it('fetches a bundle once for all who ask at the same moment, and those who ask later', async () => {
    const { cache, fetcher } = cacheOf(whole);
    const paths = await Promise.all(
      Array.from({ length: 10 }, () => cache.get(ref, new AbortController().signal)),
    );
    paths.push(await cache.get(ref, never));
    expect(new Set(paths)).to.deep.equal(new Set([file()]));
    expect(fetcher.calls).to.have.length(1);
  });

  it('keeps bundles over a restart', async () => {
    await cacheOf(whole).cache.get(ref, never);
    const { cache, fetcher } = cacheOf(broken);
    expect(await cache.get(ref, never)).to.equal(file());
    expect(fetcher.calls).to.have.length(0);
  });

  it('goes on where a broken transfer ended, also over a restart', async () => {
    const { cache, fetcher } = cacheOf(broken);
    expect(await failure(cache.get(ref, never))).to.be.instanceOf(PlatformError);
    fetcher.pieces = whole;
    const other = cacheOf(whole);
    expect(await other.cache.get(ref, never)).to.equal(file());
    expect(other.fetcher.calls.map(({ from }) => from)).to.deep.equal([60_000]);
    expect((await readFile(file())).equals(code)).to.equal(true);
  });

  it('refuses a bundle that came damaged, keeps nothing of it, and starts anew', async () => {
    const { cache, fetcher } = cacheOf(async function* () {
      yield randomBytes(ref.size);
    });
    const error = await failure(cache.get(ref, never));
    expect(error).to.be.instanceOf(PlatformError).with.nested.property('error.code', 'BUNDLE_UNAVAILABLE');
    expect(await readdir(join(folder(), 'bundles'))).to.deep.equal([]);

    fetcher.pieces = whole;
    expect(await cache.get(ref, never)).to.equal(file());
    expect(fetcher.calls.map(({ from }) => from)).to.deep.equal([0, 0]);
  });

  it('gets over a partial file that is damaged, or longer than the bundle', async () => {
    for (const partial of [Buffer.alloc(60_000), Buffer.concat([code, code])]) {
      await mkdir(join(folder(), 'bundles'), { recursive: true });
      await writeFile(`${file()}.part`, partial);
      const { cache } = cacheOf(whole);
      expect(await failure(cache.get(ref, never))).to.be.instanceOf(PlatformError);
      expect(await cache.get(ref, never)).to.equal(file());
      expect((await readFile(file())).equals(code)).to.equal(true);
      await writeFile(file(), '');
    }
  });

  it('lets one who waits give up without the others', async () => {
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const { cache } = cacheOf(async function* (from) {
      await opened;
      yield* whole(from);
    });
    const aborts = new AbortController();
    const impatient = failure(cache.get(ref, aborts.signal));
    const patient = cache.get(ref, never);
    const reason = new Error('cancelled');
    aborts.abort(reason);
    expect(await impatient).to.equal(reason);
    open();
    expect(await patient).to.equal(file());
  });

  it('stops a transfer nobody waits for, and goes on with it for the next', async () => {
    const { cache, fetcher } = cacheOf(stuck);
    const aborts = new AbortController();
    const all = [failure(cache.get(ref, aborts.signal)), failure(cache.get(ref, aborts.signal))];
    await eventually('some bytes are there', async () => {
      const part = await readFile(`${file()}.part`).catch(() => undefined);
      return part?.byteLength === 60_000;
    });
    aborts.abort();
    fetcher.pieces = whole;
    await Promise.all(all);
    expect(await cache.get(ref, never)).to.equal(file());
    expect(fetcher.calls.map(({ from }) => from)).to.deep.equal([0, 60_000]);
    expect(fetcher.calls[0]?.signal.aborted).to.equal(true);
  });

  it('fails at once for a signal that is aborted already', async () => {
    const { cache, fetcher } = cacheOf(whole);
    expect(await failure(cache.get(ref, AbortSignal.abort(new Error('gone'))))).to.have.property(
      'message',
      'gone',
    );
    expect(fetcher.calls).to.have.length(0);
  });

  it('says so when it cannot write', async () => {
    await writeFile(join(folder(), 'bundles'), 'a file where the folder should be');
    const error = await failure(cacheOf(whole).cache.get(ref, never));
    expect(error).to.be.instanceOf(PlatformError).with.nested.property('error.code', 'BUNDLE_UNAVAILABLE');
  });

  it('brings a bundle over the real channel, once for ten calls, over a restart of the broker', async () => {
    const channel = new Channel(join(folder(), 'broker'));
    await channel.store.open();
    try {
      const real = await channel.put(8_000_000);
      const { server, port } = await channel.serve();
      // Longer than this process may be held up: what was only late would be asked for, and counted, once more.
      const fetcher = channel.client(port, { silenceMs: 1000 });
      const cache = new BundleCache({ dir: join(folder(), 'worker'), fetcher });
      const gone = new Promise<void>((resolve) => {
        channel.watched.before = (read) => {
          if (read === 15) void server.stop().then(resolve);
        };
      });
      const paths = Array.from({ length: 10 }, () => cache.get(real, new AbortController().signal));
      await gone;
      await channel.serve(port);
      const [path = ''] = await Promise.all(paths);
      const sha256 = createHash('sha256')
        .update(await readFile(path))
        .digest('hex');
      expect(sha256).to.equal(real.sha256);
      // 31 chunks, and those under way at the restart once more.
      expect(channel.watched.reads).to.be.lessThan(31 + 17);
    } finally {
      await channel.stop();
    }
  });
});

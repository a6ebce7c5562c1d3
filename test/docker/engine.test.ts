import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import Docker from 'dockerode';
import { removeContainer } from '../../worker/src/engine/container.js';
import { Demultiplexer } from '../../worker/src/engine/demux.js';
import { hardened } from '../../worker/src/engine/hardening.js';
import { throughMounts } from '../../worker/src/engine/host-paths.js';
import { Tail } from '../../worker/src/output/tail.js';
import { ENGINE_SOCKET, withEngine } from '../support/groups.js';

describe('the stream of a container', () => {
  const piece = (stream: number, content: string): Buffer => {
    const header = Buffer.alloc(8);
    header.writeUInt8(stream, 0);
    header.writeUInt32BE(Buffer.byteLength(content), 4);
    return Buffer.concat([header, Buffer.from(content)]);
  };

  for (const size of [1, 3, 8, 13, 1000]) {
    it(`is taken apart when it comes in chunks of ${size} bytes`, () => {
      const got = { out: '', err: '' };
      const parts = new Demultiplexer({
        stdout: (bytes) => (got.out += bytes.toString()),
        stderr: (bytes) => (got.err += bytes.toString()),
      });
      const whole = Buffer.concat([piece(1, 'first '), piece(2, 'error'), piece(1, ''), piece(1, 'second')]);
      for (let at = 0; at < whole.length; at += size) parts.write(whole.subarray(at, at + size));
      expect(got).to.deep.equal({ out: 'first second', err: 'error' });
    });
  }
});

describe('the paths of a worker in a container', () => {
  const mounts = [
    { Source: '/var/lib/docker/volumes/data/_data', Destination: '/data' },
    { Source: '/mnt/fast', Destination: '/data/panal/sandboxes' },
    { Source: '/run/docker.sock', Destination: '/var/run/docker.sock' },
  ];

  it('lead through the volume that holds them', () => {
    const toHost = throughMounts(mounts, '/data/panal');
    expect(toHost?.('/data/panal/agent/x')).to.equal('/var/lib/docker/volumes/data/_data/panal/agent/x');
  });

  it('lead through the innermost one', () => {
    const toHost = throughMounts(mounts, '/data/panal/sandboxes/w');
    expect(toHost?.('/data/panal/sandboxes/w/s')).to.equal('/mnt/fast/w/s');
  });

  it('lead nowhere when they are in none', () => {
    expect(throughMounts(mounts, '/database')).to.be.undefined;
    expect(throughMounts([], '/data')).to.be.undefined;
  });
});

describe('the end of an output', () => {
  it('is all of it while it is short', () => {
    const tail = new Tail(10);
    tail.add(Buffer.from('01234'));
    tail.add(Buffer.from('56789'));
    expect(Buffer.from(tail.bytes).toString()).to.equal('0123456789');
  });

  it('is its last bytes, and says so, when it is long', () => {
    const tail = new Tail(4);
    for (const piece of ['01', '234', '5', '6789ab']) tail.add(Buffer.from(piece));
    expect(Buffer.from(tail.bytes).toString()).to.equal('[the beginning was cut]\n89ab');
  });
});

describe('the limits of a container', () => {
  it('ask for no more cores than the machine has', () => {
    const limits = { memoryMb: 64, cpus: 16, pids: 10, network: 'none' };
    const confines = { cores: 4, runtime: undefined, diskMb: 100 };
    expect(hardened(limits, confines).NanoCpus).to.equal(4e9);
    expect(hardened({ ...limits, cpus: 0.5 }, confines).NanoCpus).to.equal(5e8);
  });
});

withEngine('the removal of a container', () => {
  /** Removals that the engine is still to fail at; what it was asked to remove. */
  let failures = 0;
  let removals = 0;
  const proxy = createServer((asked, answer) => {
    if (asked.method === 'DELETE') removals += 1;
    if (asked.method !== 'DELETE' || failures === 0) return passOn(asked, answer);
    failures -= 1;
    const body = JSON.stringify({ message: 'unable to remove filesystem: directory not empty' });
    answer.writeHead(500, { 'Content-Type': 'application/json' }).end(body);
  });
  let engine: Docker;
  before(async () => {
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
    engine = new Docker({ host: '127.0.0.1', port: (proxy.address() as AddressInfo).port, protocol: 'http' });
  });
  after(() => proxy.close());

  const removed = async (failing: number): Promise<{ error: unknown; left: boolean; removals: number }> => {
    const container = await new Docker().createContainer({ Image: 'busybox:latest', Cmd: ['true'] });
    removals = 0;
    failures = failing;
    try {
      const error: unknown = await removeContainer(engine.getContainer(container.id)).catch(
        (e: unknown) => e,
      );
      const all = await new Docker().listContainers({ all: true });
      return { error, left: all.some(({ Id }) => Id === container.id), removals };
    } finally {
      await removeContainer(container);
    }
  };

  it('is asked for once', async () => {
    expect(await removed(0)).to.deep.equal({ error: undefined, left: false, removals: 1 });
  });

  it('is asked for again where the engine failed', async () => {
    expect(await removed(1)).to.deep.equal({ error: undefined, left: false, removals: 2 });
  });

  it('fails where the engine fails at it twice', async () => {
    const { error, left, removals: times } = await removed(2);
    expect(error).to.have.property('statusCode', 500);
    expect([left, times]).to.deep.equal([true, 2]);
  });
});

function passOn(asked: IncomingMessage, answer: ServerResponse): void {
  const { method, url, headers } = asked;
  const engine = request({ socketPath: ENGINE_SOCKET, method, path: url, headers }, (answered) => {
    answer.writeHead(answered.statusCode ?? 502, answered.headers);
    answered.pipe(answer);
  });
  asked.pipe(engine);
}

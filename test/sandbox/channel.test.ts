import { getEventListeners, once } from 'node:events';
import { mkdir, readdir, symlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { expect } from 'chai';
import type { ChannelOptions } from '../../worker/src/contracts/protocol/channel.js';
import { FRAME, MAX_FRAME } from '../../worker/src/contracts/protocol/frames.js';
import { listenIn } from '../../worker/src/contracts/protocol/listener.js';
import { PlatformError } from '../../worker/src/errors.js';
import type { RunResult } from '../../worker/src/contracts/run.js';
import { temporaryFolder } from '../support/folder.js';
import { runtimeSpec } from '../support/specs.js';
import { done, frame, Peer } from './channel-peer.js';
import { request, summary, text } from './requests.js';

const spec = runtimeSpec('dice', { version: 3 });

describe('a channel of the runtime protocol', () => {
  const folder = temporaryFolder();
  const peers: Peer[] = [];
  afterEach(() => {
    for (const peer of peers.splice(0)) peer.close();
  });

  async function connected(options?: ChannelOptions): Promise<Peer> {
    const peer = await Peer.connect(folder(), options);
    peers.push(peer);
    return peer;
  }

  async function readyPeer(kind: 'agent' | 'handler', options?: ChannelOptions): Promise<Peer> {
    const peer = await connected(options);
    await peer.ready(kind);
    return peer;
  }

  /** Starts a call, and waits until the peer has all of it. */
  async function called(
    peer: Peer,
    options?: Parameters<typeof request>[0],
  ): Promise<{ ended: Promise<RunResult> }> {
    const calls = peer.count(FRAME.END_INPUT);
    const ended = peer.channel.run(request(options), spec, ['cmd', 'a b'], '/ws');
    await peer.got(FRAME.END_INPUT, calls + 1);
    return { ended };
  }

  it('sends a call with its body, and returns result, logs and exit code', async () => {
    const peer = await readyPeer('agent');
    const { ended } = await called(peer, { callNum: 7, attempt: 2, body: 'body', env: { A: 'b=c' } });
    const [call, input] = peer.received;
    const fields = call?.payload.toString().split('\0') ?? [];
    expect(fields).to.include.members(['callNum=7', 'functionName=dice', 'version=3', 'attempt=2']);
    expect(fields).to.include.members(['arg=cmd', 'arg=a b', 'env=A=b=c', 'cwd=/ws']);
    expect(input?.payload.toString()).to.equal('body');
    peer.send(frame(FRAME.OUT, 're'), frame(FRAME.ERR, 'log'), frame(FRAME.OUT, 'sult'), done(0));
    expect(summary(await ended)).to.deep.equal({
      status: 'DONE',
      result: 'result',
      logs: 'log',
      exitCode: 0,
      code: undefined,
      reusable: true,
    });
  });

  it('tells a handler nothing of commands and environments', async () => {
    const peer = await readyPeer('handler');
    const { ended } = await called(peer, { env: { FAAS_PARAMS: '1' } });
    expect(peer.received[0]?.payload.toString()).not.to.match(/arg=|env=|cwd=/);
    peer.send(done(0));
    await ended;
  });

  it('names the call to a handler, which may name it in its DONE', async () => {
    const peer = await readyPeer('handler');
    const { ended } = await called(peer, { callNum: 7, attempt: 2 });
    expect(peer.received[0]?.payload.toString().split('\0')).to.include('call=7.2');
    peer.send(done(1, 0, 'ValueError: \0no\x007.2'));
    expect((await ended).error?.message).to.equal('ValueError: \0no');
  });

  it('splits a large body, and puts split frames together', async () => {
    const peer = await readyPeer('agent');
    const body = Buffer.alloc(3_000_000, 'x');
    const { ended } = await called(peer, { body, maxOutput: body.length });
    const pieces = peer.received.filter(({ type }) => type === FRAME.INPUT).map(({ payload }) => payload);
    expect(pieces.length).to.equal(3);
    expect(Buffer.concat(pieces).equals(body)).to.equal(true);
    peer.send(frame(FRAME.OUT, body), done(0));
    expect(body.equals((await ended).result)).to.equal(true);
  });

  it('reads frames that come byte by byte', async () => {
    const peer = await readyPeer('agent');
    const { ended } = await called(peer);
    for (const byte of Buffer.concat([frame(FRAME.OUT, 'slow'), done(0)])) {
      await new Promise((resolve) => peer.socket.write(Buffer.from([byte]), resolve));
    }
    expect(text((await ended).result)).to.equal('slow');
  });

  it('says what an exception, a signal and a missing command were', async () => {
    const peer = await readyPeer('agent');
    const endings = [
      { sent: done(1, 0, 'ValueError: no'), code: 'FUNCTION_FAILED', exitCode: 1 },
      { sent: done(139, 1), code: 'FUNCTION_KILLED', exitCode: 139 },
      { sent: done(127, 3, 'cmd: not there'), code: 'START_FAILED', exitCode: 127 },
    ];
    for (const { sent, code, exitCode } of endings) {
      const { ended } = await called(peer);
      peer.send(sent);
      expect(summary(await ended)).to.include({ status: 'FAILED', code, exitCode, reusable: true });
    }
  });

  it('asks why a process was killed', async () => {
    const oom = { code: 'OUT_OF_MEMORY', message: 'too much' } as const;
    const peer = await readyPeer('agent', { explain: async () => oom });
    const { ended } = await called(peer);
    peer.send(done(137, 1));
    expect((await ended).error).to.deep.equal(oom);
  });

  it('puts what the sandbox prints outside the protocol into the logs of the call', async () => {
    const peer = await readyPeer('handler');
    peer.channel.addLogs(Buffer.from('between calls'));
    const { ended } = await called(peer);
    peer.channel.addLogs(Buffer.from('printed'));
    peer.send(done(0));
    expect(text((await ended).logs)).to.equal('printed');
  });

  it('cuts logs with a marker, and shows the kept ones as they come', async () => {
    const peer = await readyPeer('agent');
    const shown: string[] = [];
    const { ended } = await called(peer, { maxLogs: 4, onLog: (piece) => shown.push(text(piece)) });
    peer.send(frame(FRAME.ERR, 'ab'), frame(FRAME.ERR, 'cdef'), frame(FRAME.ERR, 'gh'), done(0));
    expect(text((await ended).logs)).to.equal('abcd\n[logs cut at 4 bytes (FAAS_MAX_LOGS)]\n');
    expect(shown.join('')).to.equal('abcd\n[logs cut at 4 bytes (FAAS_MAX_LOGS)]\n');
  });

  describe('when a call is to stop', () => {
    it('cancels it at an agent, and can go on', async () => {
      const peer = await readyPeer('agent');
      const { ended } = await called(peer, { timeoutMs: 20 });
      await peer.got(FRAME.CANCEL);
      peer.send(done(137, 2));
      expect(summary(await ended)).to.include({ status: 'TIMEOUT', reusable: true });
    });

    it('gives up an agent that does not stop it', async () => {
      const peer = await readyPeer('agent');
      const { ended } = await called(peer, { timeoutMs: 20 });
      expect(summary(await ended)).to.include({ status: 'TIMEOUT', reusable: false });
    });

    it('gives up a handler at once', async () => {
      const peer = await readyPeer('handler');
      const cancel = new AbortController();
      const { ended } = await called(peer, { signal: cancel.signal });
      cancel.abort();
      expect(summary(await ended)).to.include({ status: 'CANCELLED', reusable: false });
    });

    it('stops one that writes too much', async () => {
      const peer = await readyPeer('agent');
      const { ended } = await called(peer, { maxOutput: 3 });
      peer.send(frame(FRAME.OUT, 'four'));
      await peer.got(FRAME.CANCEL);
      peer.send(done(137, 2));
      expect(summary(await ended)).to.include({ status: 'FAILED', code: 'OUTPUT_TOO_LARGE', result: '' });
    });

    it('does not begin one that was cancelled before', async () => {
      const peer = await readyPeer('agent');
      const ended = await peer.channel.run(request({ signal: AbortSignal.abort() }), spec);
      expect(summary(ended)).to.include({ status: 'CANCELLED', reusable: true });
      expect(peer.received).to.deep.equal([]);
    });
  });

  describe('loses a process that', () => {
    const broken: [string, Buffer][] = [
      ['sends a frame that is too large', Buffer.from([...u32(MAX_FRAME + 1), FRAME.OUT])],
      ['sends an empty frame', Buffer.from([0, 0, 0, 0])],
      ['sends a type that does not exist', frame(0x7f)],
      ["sends a worker's frame", frame(FRAME.CALL)],
      ['is ready twice', frame(FRAME.READY, '{"protocol":1,"kind":"handler"}')],
      ['sends a DONE that is too short', frame(FRAME.DONE, 'x')],
      ['sends a DONE for no reason', done(0, 99)],
      ['sends a DONE of another call', done(0, 0, '\x00999.1')],
    ];
    for (const [name, bytes] of broken) {
      it(name, async () => {
        const peer = await readyPeer('handler');
        const { ended } = await called(peer);
        peer.send(bytes);
        expect(summary(await ended)).to.include({
          status: 'FAILED',
          code: 'FUNCTION_FAILED',
          reusable: false,
        });
        const later: unknown = await peer.channel.run(request(), spec).catch((error: unknown) => error);
        expect(later).to.be.instanceOf(PlatformError);
      });
    }

    it('answers a call that nobody made', async () => {
      const peer = await readyPeer('agent');
      const closed = new Promise<void>((resolve) => (peer.channel.onClose = resolve));
      peer.send(done(0));
      await closed;
    });

    it('goes away while idle', async () => {
      const peer = await readyPeer('agent');
      const closed = new Promise<void>((resolve) => (peer.channel.onClose = resolve));
      peer.socket.destroy();
      await closed;
    });

    it('is never ready', async () => {
      const peer = await connected();
      const error: unknown = await peer.channel.ready(20).catch((reason: unknown) => reason);
      expect(String(error)).to.contain('not ready within 20 ms');
    });

    it('speaks another version', async () => {
      const peer = await connected();
      peer.send(frame(FRAME.READY, '{"protocol":2,"kind":"handler"}'));
      const error: unknown = await peer.channel.ready(5000).catch((reason: unknown) => reason);
      expect(String(error)).to.contain('another protocol');
    });
  });

  it('leaves no listener and no timer behind a call', async () => {
    const peer = await readyPeer('agent');
    const { signal } = new AbortController();
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    for (let i = 0; i < 20; i++) {
      const { ended } = await called(peer, { signal, timeoutMs: 3_600_000 });
      peer.send(done(0));
      await ended;
    }
    expect(getEventListeners(signal, 'abort')).to.have.length(0);
    expect(timers()).to.be.at.most(before);
  });

  it('lets only one process connect, also through a path that is too long for a socket', async () => {
    const long = `${folder()}/${'x'.repeat(120)}`;
    await mkdir(long);
    const short = `${folder()}/short`;
    await symlink(long, short);
    const listener = await listenIn(long);
    const one = connect(`${short}/socket`);
    const served = await listener.connection;
    expect(await readdir(long)).to.deep.equal([]);
    const other = connect(`${short}/socket`);
    expect(await once(other, 'error')).to.have.nested.property('[0].code', 'ENOENT');
    for (const socket of [one, served]) socket.destroy();
  });
});

function u32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

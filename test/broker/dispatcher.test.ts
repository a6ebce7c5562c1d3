import { expect } from 'chai';
import { pino } from 'pino';
import { curveKeyPair } from 'zeromq';
import type { CallError, FunctionSpec } from '@panal/protocol';
import { PROTOCOL_VERSION } from '@panal/transport';
import type { AttemptEvents, AttemptResult, ParsedLease } from '../../broker/src/scheduling/attempt.js';
import { type BrokerKeys, ZmqBrokerTransport } from '@panal/transport/zeromq';
import { Dispatcher } from '../../broker/src/scheduling/dispatcher.js';
import type { Job } from '../../broker/src/scheduling/job.js';
import { Scheduler } from '../../broker/src/scheduling/scheduler.js';
import { ScriptedWorker, type CurveClient } from '../support/scripted-worker.js';
import { imageSpec, runtimeSpec } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';

/** Notes what the dispatcher tells; a test may hold back that an outcome is stored. */
class Ledger implements AttemptEvents {
  /** What is to be read for attempts whose parameter is apart. */
  readonly params = (): Promise<Uint8Array> => this.reading;
  reading: Promise<Uint8Array> = Promise.resolve(new Uint8Array(0));
  readonly running: number[] = [];
  readonly results: AttemptResult[] = [];
  readonly losses: CallError[] = [];
  readonly logs: [offset: number, text: string][] = [];
  claimable: Job | undefined;
  stored: Promise<void> = Promise.resolve();

  started(job: Job): void {
    this.running.push(job.callNum);
  }

  logged(_job: Job, offset: number, piece: Uint8Array): void {
    this.logs.push([offset, Buffer.from(piece).toString()]);
  }

  async ended(_job: Job, result: AttemptResult): Promise<void> {
    await this.stored;
    this.results.push(result);
  }

  lost(_job: Job, error: CallError): void {
    this.losses.push(error);
  }

  claim({ callNum }: ParsedLease): Job | undefined {
    return this.claimable?.callNum === callNum ? this.claimable : undefined;
  }
}

describe('Dispatcher over ZeroMQ', () => {
  const workers: ScriptedWorker[] = [];
  let ledger: Ledger;
  let dispatcher: Dispatcher;
  let transport: ZmqBrokerTransport;
  let port: number;

  async function start(options: { curve?: BrokerKeys; leaseMs?: number } = {}): Promise<void> {
    const log = pino({ level: 'silent' });
    const { curve, leaseMs = 60_000 } = options;
    transport = new ZmqBrokerTransport({ address: 'tcp://127.0.0.1:0', curve, log });
    dispatcher = new Dispatcher({
      transport,
      scheduler: new Scheduler(),
      brokerId: 'b1',
      heartbeatMs: 20,
      leaseMs,
      exposed: false,
      log,
    });
    ledger = new Ledger();
    dispatcher.start(ledger);
    await transport.open({ ...dispatcher.handlers, onRequest: async () => undefined });
    port = transport.port;
  }

  function worker(id: string, keys?: CurveClient): ScriptedWorker {
    const made = new ScriptedWorker(id, port, keys);
    workers.push(made);
    return made;
  }

  function job(callNum: number, text = '', spec: FunctionSpec = runtimeSpec('dice')): Job {
    const params = Buffer.from(text);
    return { callNum, attempt: 1, acceptedAt: 0, spec, maxConcurrency: Infinity, input: 'raw', params };
  }

  afterEach(async () => {
    for (const each of workers.splice(0)) each.close();
    dispatcher.stop();
    await transport.close();
  });

  it('takes a call to a mini-worker that offered itself, and its outcome back', async () => {
    await start();
    const w1 = worker('w1');
    await w1.join({ slots: 2 });
    w1.say({ type: 'ready', slot: 1 });
    dispatcher.submit(job(1, 'hello'));
    const invoke = await w1.nextInvoke();
    expect(invoke).to.include({ callNum: 1, slot: 1, attempt: 1, input: 'raw', text: 'hello' });
    expect(ledger.running).to.deep.equal([1]);
    await w1.reply(invoke, {}, 'olleh');
    const ack = await w1.hears('ack');
    expect(ack.leases).to.deep.equal([invoke.lease]);
    expect(Buffer.from(ledger.results[0]?.result ?? []).toString()).to.equal('olleh');
  });

  it('gives an image function to a worker that says it runs images, whatever its driver', async () => {
    await start();
    const [w1, w2] = [worker('w1'), worker('w2')];
    // A worker of a later version may have capabilities that this broker does not know.
    await w1.join({ capabilities: ['command', 'images', 'telepathy'] });
    await w2.join({ sandbox: 'docker', capabilities: ['command'] });
    expect(dispatcher.support('images')).to.equal('some');
    for (const each of [w2, w1]) each.say({ type: 'ready', slot: 0 });
    dispatcher.submit(job(1, '', imageSpec('dice')));
    expect(await w1.nextInvoke()).to.include({ callNum: 1 });
  });

  it('knows what workers can do that do not say it', async () => {
    await start();
    expect(dispatcher.support('images')).to.equal(undefined);
    await worker('w1').join({ prepares: true });
    expect(dispatcher.support('prepare')).to.equal('all');
    expect(dispatcher.support('images')).to.equal('none');
    await worker('w2').join({ sandbox: 'docker' });
    expect(dispatcher.support('prepare')).to.equal('some');
    expect(dispatcher.support('images')).to.equal('some');
    expect(dispatcher.support('handler')).to.equal('all');
  });

  it('tells a worker of a function once, and once more when its image is known', async () => {
    await start();
    const w1 = worker('w1');
    await w1.join({ sandbox: 'docker' });
    const unbound = imageSpec('dice');
    const bound = { ...unbound, imageDigest: `example/dice@sha256:${'a'.repeat(64)}` };
    const told: (FunctionSpec | undefined)[] = [];
    for (const [index, spec] of [unbound, unbound, bound, bound, unbound].entries()) {
      w1.say({ type: 'ready', slot: 0 });
      dispatcher.submit(job(index + 1, '', spec));
      const invoke = await w1.nextInvoke();
      told.push(invoke.spec);
      await w1.reply(invoke);
      await eventually('its outcome is stored', () => ledger.results.length === index + 1);
    }
    expect(told).to.deep.equal([unbound, undefined, bound, undefined, undefined]);
  });

  describe('a call whose parameter is not in memory', () => {
    const apart = (callNum: number): Job => ({ ...job(callNum), apart: true });
    let w1: ScriptedWorker;

    beforeEach(async () => {
      await start();
      w1 = worker('w1');
      await w1.join();
    });

    it('gets it when it goes to its worker, and is cancelled after that at the earliest', async () => {
      let read = (): void => undefined;
      ledger.reading = new Promise((resolve) => (read = () => resolve(Buffer.from('long'))));
      w1.say({ type: 'ready', slot: 0 });
      const first = apart(1);
      dispatcher.submit(first);
      await eventually('the attempt has begun', () => ledger.running.includes(1));
      dispatcher.cancel(first);
      read();
      const invoke = await w1.nextInvoke();
      expect(invoke).to.include({ callNum: 1, slot: 0, text: 'long' });
      await w1.hears('cancel');
      const told = w1.heard.filter(({ type }) => type === 'invoke' || type === 'cancel');
      expect(told.map(({ type }) => type)).to.deep.equal(['invoke', 'cancel']);
    });

    it('is lost where it cannot be read, and leaves its mini-worker to the next', async () => {
      ledger.reading = Promise.reject(new Error('unreadable'));
      ledger.reading.catch(() => undefined);
      w1.say({ type: 'ready', slot: 0 });
      dispatcher.submit(apart(1));
      await eventually('the attempt is lost', () => ledger.losses.length === 1);
      expect(ledger.losses[0]).to.include({ code: 'STORE_UNAVAILABLE' });
      dispatcher.submit(job(2, 'short'));
      expect(await w1.nextInvoke()).to.include({ callNum: 2, slot: 0 });
    });

    it('does not go to a worker that was lost meanwhile', async () => {
      let read = (): void => undefined;
      ledger.reading = new Promise((resolve) => (read = () => resolve(Buffer.from('long'))));
      w1.say({ type: 'ready', slot: 0 });
      dispatcher.submit(apart(1));
      await eventually('the attempt has begun', () => ledger.running.includes(1));
      w1.say({ type: 'bye' });
      await eventually('the worker is gone', () => ledger.losses.length === 1);
      read();
      await w1.join();
      w1.say({ type: 'ready', slot: 0 });
      dispatcher.submit(job(2));
      expect((await w1.nextInvoke()).callNum).to.equal(2);
    });
  });

  it("sends a function's spec once to each connection", async () => {
    await start();
    const w1 = worker('w1');
    await w1.join({ slots: 2 });
    w1.say({ type: 'ready', slot: 0 }, { type: 'ready', slot: 1 });
    dispatcher.submit(job(1));
    dispatcher.submit(job(2));
    expect((await w1.nextInvoke()).spec?.name).to.equal('dice');
    expect((await w1.nextInvoke()).spec).to.equal(undefined);
    await w1.join();
    w1.say({ type: 'ready', slot: 0 });
    dispatcher.submit(job(3));
    expect((await w1.nextInvoke()).spec?.name).to.equal('dice');
  });

  it('acknowledges an outcome only when it is stored, and takes it once', async () => {
    await start();
    let store = (): void => undefined;
    ledger.stored = new Promise((resolve) => (store = resolve));
    const w1 = worker('w1');
    await w1.join();
    w1.say({ type: 'ready', slot: 0 });
    dispatcher.submit(job(1));
    const invoke = await w1.nextInvoke();
    await w1.reply(invoke);
    await w1.reply(invoke);
    w1.say({ type: 'ready', slot: 0 });
    dispatcher.submit(job(2));
    const next = await w1.nextInvoke();
    expect(w1.heard.filter(({ type }) => type === 'ack')).to.deep.equal([]);
    store();
    await w1.hears('ack');
    await w1.reply(next);
    await eventually('both outcomes are taken', () => ledger.results.length === 2);
    await w1.reply(invoke);
    const acknowledged = (): string[] => w1.heard.flatMap((m) => (m.type === 'ack' ? m.leases : []));
    await eventually('a late outcome is acknowledged', () => acknowledged().length === 3);
    expect(acknowledged()).to.have.members([invoke.lease, next.lease, invoke.lease]);
    expect(ledger.results).to.have.length(2);
  });

  it('takes the calls of a silent worker for lost, and gives them to another', async () => {
    await start({ leaseMs: 100 });
    const silent = worker('silent');
    await silent.join();
    silent.say({ type: 'ready', slot: 0 });
    dispatcher.submit(job(1));
    await silent.nextInvoke();
    await eventually('the call is lost', () => ledger.losses[0]?.code === 'WORKER_LOST');
    expect(dispatcher.workers('ana')).to.deep.equal([]);
  });

  it('keeps a worker that sends heartbeats, and sends it heartbeats', async () => {
    await start({ leaseMs: 200 });
    const w1 = worker('w1');
    await w1.join();
    const beats = (): number => w1.heard.filter(({ type }) => type === 'heartbeat').length;
    for (let beat = 1; beat <= 20; beat++) {
      w1.say({ type: 'heartbeat' });
      await eventually('the broker beats', () => beats() >= beat);
    }
    expect(dispatcher.workers('ana')).to.have.length(1);
  });

  it('asks a worker that it does not know who it is', async () => {
    await start();
    const w1 = worker('w1');
    w1.say({ type: 'heartbeat' });
    await w1.hears('who');
  });

  it('refuses a worker of another protocol version with a line that says so', async () => {
    await start();
    const w1 = worker('w1');
    w1.hello({ protocol: 99 });
    expect((await w1.hears('refuse')).message).to.contain('99');
    expect(dispatcher.workers('ana')).to.deep.equal([]);
  });

  it('refuses it also where the rest of its hello is another', async () => {
    await start();
    const w1 = worker('w1');
    w1.sendFrames([
      JSON.stringify([{ type: 'hello', protocol: PROTOCOL_VERSION + 1, name: 'w1', cells: [] }]),
      '',
    ]);
    expect((await w1.hears('refuse')).message).to.equal(
      `worker protocol ${PROTOCOL_VERSION + 1} does not go with the broker's ${PROTOCOL_VERSION}`,
    );
    expect(dispatcher.tally.refused).to.equal(1);
    // What is not even a hello gets no answer, and hurts nobody.
    w1.sendFrames(['{', '']);
    w1.sendFrames([JSON.stringify([7, { type: 'hello' }]), '']);
    await w1.join();
    expect(dispatcher.tally.refused).to.equal(1);
  });

  it('counts the sandboxes that stand idle in a worker, also with calls handed out ahead', async () => {
    await start();
    const w1 = worker('w1');
    await w1.join({ slots: 2 });
    const idle = (): number => Object.values(dispatcher.workers('public')[0]?.holds ?? {})[0] ?? 0;
    w1.say({ type: 'ready', slot: 0 }, { type: 'ready', slot: 1 });
    dispatcher.submit(job(1));
    dispatcher.submit(job(2));
    const first = await w1.nextInvoke();
    await w1.nextInvoke();
    await w1.reply(first, { free: first.slot, kept: true, runMs: 1 });
    await eventually('its sandbox is counted', () => idle() === 1);
    dispatcher.submit(job(3));
    dispatcher.submit(job(4));
    const [third, ahead] = [await w1.nextInvoke(), await w1.nextInvoke()];
    expect([third.slot, ahead.slot]).to.deep.equal([first.slot, undefined]);
    expect(idle()).to.equal(0);
    // The third had ended before the fourth arrived, which found an idle mini-worker.
    await w1.reply(third, { free: first.slot, kept: true });
    await w1.reply(ahead, { free: first.slot, kept: true });
    await eventually('both have ended', () => ledger.results.length === 3);
    expect(idle()).to.equal(1);
  });

  it('lets a worker that connects anew go on with what it has, and takes for lost what it has not', async () => {
    await start();
    const w1 = worker('w1');
    await w1.join({ slots: 2 });
    w1.say({ type: 'ready', slot: 0 }, { type: 'ready', slot: 1 });
    dispatcher.submit(job(1));
    dispatcher.submit(job(2));
    const kept = await w1.nextInvoke();
    await w1.nextInvoke();
    const again = worker('w1');
    await again.join({ slots: 2, leases: [kept.lease] });
    expect(ledger.losses).to.have.length(1);
    await again.reply(kept);
    await eventually('the kept call ends', () => ledger.results.length === 1);
    expect(ledger.results[0]?.outcome.callNum).to.equal(1);
  });

  it("takes up an attempt of the broker's earlier life, and stops one that nobody waits for", async () => {
    await start();
    ledger.claimable = job(7);
    const w1 = worker('w1');
    await w1.join({ slots: 2, leases: ['7.1.0.b0', '8.1.0.b0', 'nonsense'] });
    expect(ledger.running).to.deep.equal([7]);
    await eventually('the unwanted ones are cancelled', () => {
      const cancelled = w1.heard.filter((message) => message.type === 'cancel').map(({ lease }) => lease);
      return cancelled.length === 2 && cancelled.includes('8.1.0.b0');
    });
    await w1.reply({
      type: 'invoke',
      lease: '7.1.0.b0',
      slot: 0,
      callNum: 7,
      attempt: 1,
      functionId: '',
      input: 'raw',
    });
    await eventually('its outcome counts', () => ledger.results.length === 1);
  });

  it('gives a draining worker nothing more', async () => {
    await start();
    const [w1, w2] = [worker('w1'), worker('w2')];
    await w1.join();
    await w2.join();
    w1.say({ type: 'ready', slot: 0 }, { type: 'drain' });
    await eventually('it drains', () => dispatcher.workers('ana').some(({ state }) => state === 'draining'));
    dispatcher.submit(job(1));
    w2.say({ type: 'ready', slot: 0 });
    expect((await w2.nextInvoke()).callNum).to.equal(1);
    w1.say({ type: 'bye' });
    await eventually('it is gone', () => dispatcher.workers('ana').length === 1);
  });

  it('tells the worker that runs a call to stop it', async () => {
    await start();
    const w1 = worker('w1');
    await w1.join();
    w1.say({ type: 'ready', slot: 0 });
    const running = job(1);
    dispatcher.submit(running);
    const { lease } = await w1.nextInvoke();
    expect(dispatcher.withdraw(running)).to.equal(false);
    dispatcher.cancel(running);
    expect((await w1.hears('cancel')).lease).to.equal(lease);
  });

  it('goes on serving when garbage comes in', async () => {
    await start();
    const w1 = worker('w1');
    await w1.join();
    const garbage = [
      ['x'],
      ['[]', '', ''],
      ['{"type":"ready"}', ''],
      ['[{"type":"ready","slot":-1}]', ''],
      ['[null]', ''],
    ];
    for (const frames of [
      ...garbage,
      [Buffer.alloc(1000, 0xff), ''],
      ['[{"type":"hello","parts":[9]}]', 'x'],
    ]) {
      w1.sendFrames(frames);
    }
    w1.say({ type: 'ready', slot: 0 });
    dispatcher.submit(job(1));
    expect((await w1.nextInvoke()).callNum).to.equal(1);
  });

  it('brings thousands of calls through in batches, each once', async () => {
    await start();
    const w1 = worker('w1');
    const slots = 64;
    await w1.join({ slots });
    const total = 5000;
    const texts = new Map<number, string>();
    w1.onInvoke = (invoke) => {
      texts.set(invoke.callNum, invoke.text);
      void w1.reply(invoke, {}, 'ok');
      w1.say({ type: 'ready', slot: invoke.slot ?? 0 });
    };
    for (let callNum = 1; callNum <= total; callNum++) dispatcher.submit(job(callNum, `p${callNum}`));
    w1.say(...Array.from({ length: slots }, (_, slot) => ({ type: 'ready' as const, slot })));
    await eventually('all have ended', () => ledger.results.length === total);
    expect([...texts].every(([callNum, text]) => text === `p${callNum}`)).to.equal(true);
    expect(new Set(ledger.results.map(({ outcome }) => outcome.callNum)).size).to.equal(total);
  });

  it('lets in only the worker with the right CURVE key, and encrypts', async () => {
    const [server, client, stranger] = [curveKeyPair(), curveKeyPair(), curveKeyPair()];
    await start({ curve: { ...server, clientKey: client.publicKey } });
    const keysOf = (pair: { publicKey: string; secretKey: string }): CurveClient => ({
      curveServerKey: server.publicKey,
      curvePublicKey: pair.publicKey,
      curveSecretKey: pair.secretKey,
    });
    const [intruder, plain, right] = [
      worker('intruder', keysOf(stranger)),
      worker('plain'),
      worker('right', keysOf(client)),
    ];
    intruder.hello();
    plain.hello();
    await right.join();
    right.say({ type: 'ready', slot: 0 });
    dispatcher.submit(job(1));
    expect((await right.nextInvoke()).callNum).to.equal(1);
    expect(dispatcher.workers('ana').map(({ id }) => id)).to.deep.equal(['right']);
    expect([...intruder.heard, ...plain.heard]).to.deep.equal([]);
  });
});

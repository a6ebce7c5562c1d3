import {
  PROTOCOL_VERSION,
  type BrokerAnswer,
  type BrokerHandlers,
  type BrokerMessage,
  type BrokerTransport,
  type Connection,
  type Envelope,
  type Hello,
  type Invoke,
  type Peer,
  type ReplyMessage,
  type WorkerMessage,
  type WorkerRequest,
  type WorkerTransport,
} from '@panal/transport';
import { expect } from 'chai';
import { eventually } from '../../testkit/wait.js';
import { anOutcome } from '../support/outcomes.js';

/** A place where a broker can be reached. */
export interface Place {
  /** A broker's end at this place, not open yet. Only one may be open at a time. */
  broker(): BrokerTransport;
  /** The way of a worker to this place. */
  worker(): WorkerTransport;
}

const NOBODY: Peer = 'nobody';
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

const hello = (worker: string): Hello => ({
  type: 'hello',
  protocol: PROTOCOL_VERSION,
  worker,
  host: 'test',
  slots: 1,
  sandbox: 'process',
  path: 'direct',
  leases: [],
});

const invoke = (callNum: number): Invoke => ({
  type: 'invoke',
  lease: `lease ${callNum}`,
  callNum,
  attempt: 1,
  functionId: 'f',
  input: 'json',
});

/** Welcomes every worker, answers claims, and keeps what it hears. */
class TestBroker implements BrokerHandlers {
  readonly heard: { peer: Peer; message: WorkerMessage }[] = [];
  readonly replies: Envelope<ReplyMessage>[] = [];
  readonly requests: WorkerRequest[] = [];
  readonly peers = new Map<string, Peer>();
  readonly transport: BrokerTransport;

  constructor(transport: BrokerTransport) {
    this.transport = transport;
  }

  onMessage(peer: Peer, { message }: Envelope<WorkerMessage>): void {
    this.heard.push({ peer, message });
    if (message.type !== 'hello') return;
    this.peers.set(message.worker, peer);
    const terms = { protocol: PROTOCOL_VERSION, heartbeatMs: 1000, leaseMs: 60_000, exposed: false };
    this.transport.send(peer, { type: 'welcome', broker: 'b', ...terms });
  }

  onReply(envelope: Envelope<ReplyMessage>): void {
    this.replies.push(envelope);
  }

  onForeign(): void {
    throw new Error('no worker of another version is there');
  }

  readonly onRequest = async (request: WorkerRequest): Promise<Envelope<BrokerAnswer> | undefined> => {
    this.requests.push(request);
    if (request.type !== 'claim') return undefined;
    return { message: { type: 'claimed', name: request.name, granted: true }, parts: [] };
  };

  peerOf(worker: string): Peer {
    return this.peers.get(worker) ?? NOBODY;
  }
}

/** Says hello, joins when it is welcomed, and keeps what it hears. */
class TestWorker {
  readonly heard: Envelope<BrokerMessage>[] = [];
  readonly failures: unknown[] = [];
  readonly connection: Connection;
  welcomes = 0;

  constructor(id: string, transport: WorkerTransport) {
    this.connection = transport.connect({
      onMessage: (envelope) => {
        this.heard.push(envelope);
        if (envelope.message.type !== 'welcome') return;
        this.welcomes++;
        this.connection.join();
      },
      onFailure: (error) => this.failures.push(error),
      mayWait: () => false,
    });
    this.connection.send(hello(id));
  }

  async joined(): Promise<this> {
    await eventually('the worker is welcomed', () => this.welcomes > 0);
    return this;
  }

  get invokes(): Envelope<Invoke>[] {
    return this.heard.flatMap(({ message, parts }) => (message.type === 'invoke' ? { message, parts } : []));
  }
}

/**
 * What any transport between brokers and workers must do.
 * @param place makes a place that no test had before
 * @param options.brokersInProcess how many brokers one process can have at a time
 */
export function describeTransport(
  name: string,
  place: () => Promise<Place>,
  { brokersInProcess = Infinity } = {},
): void {
  describe(`the transport ${name}`, () => {
    const stops: (() => Promise<void> | void)[] = [];
    afterEach(async () => {
      for (const stop of stops.splice(0).reverse()) await stop();
    });

    async function brokerAt(where: Place): Promise<TestBroker> {
      return await eventually('the place is free', async () => {
        const broker = new TestBroker(where.broker());
        try {
          await broker.transport.open(broker);
        } catch {
          await broker.transport.close();
          return undefined;
        }
        stops.push(() => broker.transport.close());
        return broker;
      });
    }

    function workerAt(where: Place, id: string): TestWorker {
      const worker = new TestWorker(id, where.worker());
      stops.push(() => worker.connection.close(0));
      return worker;
    }

    it('carries messages and their bytes to a worker, in order', async () => {
      const where = await place();
      const broker = await brokerAt(where);
      const worker = await workerAt(where, 'w').joined();
      for (let call = 1; call <= 3000; call++) {
        broker.transport.send(
          broker.peerOf('w'),
          invoke(call),
          call % 2 ? [Buffer.from(`input ${call}`)] : [],
        );
      }
      await eventually('all came', () => worker.invokes.length === 3000);
      for (const [index, { message, parts }] of worker.invokes.entries()) {
        expect(message.callNum).to.equal(index + 1);
        expect(parts.map(text)).to.deep.equal(index % 2 ? [] : [`input ${index + 1}`]);
      }
    });

    it('carries messages to the broker, in order, and outcomes with their bytes', async () => {
      const where = await place();
      const broker = await brokerAt(where);
      const { connection } = await workerAt(where, 'w').joined();
      for (let slot = 0; slot < 2000; slot++) connection.send({ type: 'ready', slot });
      const large = Buffer.alloc(3_000_000, 'x');
      for (const call of [1, 2]) connection.reply(anOutcome(call), [Buffer.from(`result ${call}`), large]);
      await eventually('all came', () => broker.heard.length === 2001 && broker.replies.length === 2);
      const slots = broker.heard.flatMap(({ message }) => (message.type === 'ready' ? message.slot : []));
      expect(slots).to.deep.equal(Array.from({ length: 2000 }, (_, slot) => slot));
      for (const [index, { message, parts }] of broker.replies.entries()) {
        expect(message.callNum).to.equal(index + 1);
        expect(text(parts[0])).to.equal(`result ${index + 1}`);
        expect(large.equals(parts[1] ?? large.subarray(1))).to.equal(true);
      }
    });

    it('carries a large input to a worker', async () => {
      const where = await place();
      const broker = await brokerAt(where);
      const worker = await workerAt(where, 'w').joined();
      const large = Buffer.alloc(5_000_000, 'y');
      for (const call of [1, 2]) broker.transport.send(broker.peerOf('w'), invoke(call), [large]);
      await eventually('both came', () => worker.invokes.length === 2);
      for (const { parts } of worker.invokes)
        expect(large.equals(parts[0] ?? large.subarray(1))).to.equal(true);
      expect(worker.failures).to.deep.equal([]);
    });

    it('tells the connections of workers apart', async () => {
      const where = await place();
      const broker = await brokerAt(where);
      const [one, two] = [await workerAt(where, 'one').joined(), await workerAt(where, 'two').joined()];
      expect(broker.peerOf('one')).to.not.equal(broker.peerOf('two'));
      broker.transport.send(broker.peerOf('one'), invoke(1));
      broker.transport.send(broker.peerOf('two'), invoke(2));
      await eventually('both came', () => one.invokes.length + two.invokes.length === 2);
      expect(one.invokes.map(({ message }) => message.callNum)).to.deep.equal([1]);
      expect(two.invokes.map(({ message }) => message.callNum)).to.deep.equal([2]);
      two.connection.send({ type: 'drain' });
      await eventually('it was heard', () => broker.heard.some(({ message }) => message.type === 'drain'));
      expect(broker.heard.at(-1)?.peer).to.equal(broker.peerOf('two'));
    });

    it('answers the requests of a worker in their order', async () => {
      const where = await place();
      const broker = await brokerAt(where);
      const { connection } = await workerAt(where, 'w').joined();
      const answers: string[] = [];
      const channel = connection.requests(({ message }) => {
        if (message.type === 'claimed') answers.push(message.name);
      });
      stops.push(() => channel.close());
      const claim = (named: string) => ({ type: 'claim' as const, name: named, holder: 'w', ms: 1000 });
      await channel.send([claim('a'), { type: 'release', name: 'a', holder: 'w' }, claim('b')]);
      await channel.send([claim('c')]);
      await eventually('all are answered', () => answers.length === 3);
      expect(answers).to.deep.equal(['a', 'b', 'c']);
      expect(broker.requests.map(({ type }) => type)).to.deep.equal(['claim', 'release', 'claim', 'claim']);
    });

    it('drops what waits for a peer that the broker gives up', async () => {
      const where = await place();
      const broker = await brokerAt(where);
      const worker = await workerAt(where, 'w').joined();
      broker.transport.send(broker.peerOf('w'), invoke(1));
      broker.transport.drop(broker.peerOf('w'));
      broker.transport.send(broker.peerOf('w'), invoke(2));
      await eventually('the second came', () => worker.invokes.length > 0);
      expect(worker.invokes.map(({ message }) => message.callNum)).to.deep.equal([2]);
    });

    it('loses messages to a worker that is gone, and no others', async () => {
      const where = await place();
      const broker = await brokerAt(where);
      const gone = await workerAt(where, 'gone').joined();
      const here = await workerAt(where, 'here').joined();
      gone.connection.close(0);
      for (let call = 1; call <= 100; call++) {
        for (const worker of ['gone', 'here']) broker.transport.send(broker.peerOf(worker), invoke(call));
        broker.transport.send(NOBODY, invoke(call));
      }
      await eventually('all came', () => here.invokes.length === 100);
      expect(gone.invokes).to.deep.equal([]);
    });

    it('lets a worker say hello before its broker is there', async () => {
      const where = await place();
      const worker = workerAt(where, 'w');
      const broker = await brokerAt(where);
      await worker.joined();
      worker.connection.reply(anOutcome(1), []);
      await eventually('its outcome came', () => broker.replies.length === 1);
    });

    it('hands in what was flushed before a connection is closed', async () => {
      const where = await place();
      const broker = await brokerAt(where);
      const { connection } = await workerAt(where, 'w').joined();
      connection.reply(anOutcome(1), [Buffer.from('last words')]);
      connection.send({ type: 'bye' });
      await connection.flushed();
      connection.close(5000);
      const heardBye = (): boolean => broker.heard.some(({ message }) => message.type === 'bye');
      await eventually('both came', () => broker.replies.length === 1 && heardBye());
    });

    it('takes a worker that connects again for another peer', async () => {
      const where = await place();
      const broker = await brokerAt(where);
      const first = await workerAt(where, 'w').joined();
      const before = broker.peerOf('w');
      first.connection.close(0);
      const second = await workerAt(where, 'w').joined();
      expect(broker.peerOf('w')).to.not.equal(before);
      broker.transport.send(broker.peerOf('w'), invoke(1));
      await eventually('it came', () => second.invokes.length === 1);
    });

    it('carries the messages of one worker to several brokers', async function () {
      if (brokersInProcess < 2) this.skip();
      const [east, west] = [await place(), await place()];
      const brokers = [await brokerAt(east), await brokerAt(west)];
      const sides = [await workerAt(east, 'w').joined(), await workerAt(west, 'w').joined()];
      for (const [index, broker] of brokers.entries()) {
        broker.transport.send(broker.peerOf('w'), invoke(index + 1));
      }
      await eventually('both came', () => sides.every(({ invokes }) => invokes.length === 1));
      for (const [index, { connection }] of sides.entries()) connection.reply(anOutcome(index + 1), []);
      await eventually('both are answered', () => brokers.every(({ replies }) => replies.length === 1));
      expect(brokers.map(({ replies }) => replies[0]?.message.callNum)).to.deep.equal([1, 2]);
    });

    it('brings nothing after it is closed, and may be closed twice', async () => {
      const where = await place();
      const broker = await brokerAt(where);
      const worker = await workerAt(where, 'w').joined();
      await broker.transport.close();
      await broker.transport.close();
      const heard = broker.heard.length;
      worker.connection.send({ type: 'heartbeat' });
      const successor = await brokerAt(where);
      const again = await workerAt(where, 'again').joined();
      successor.transport.send(successor.peerOf('again'), invoke(1));
      await eventually('the successor serves', () => again.invokes.length === 1);
      expect(broker.heard.length).to.equal(heard);
      expect(worker.failures).to.deep.equal([]);
    });
  });
}

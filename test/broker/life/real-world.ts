import { setImmediate as turn } from 'node:timers/promises';
import { pino } from 'pino';
import { LevelStore, type CallRecord, type LevelStoreOptions, type VersionRecord } from '@panal/db';
import { PanalError } from '@panal/protocol';
import {
  type BrokerMessage,
  type BrokerHandlers,
  type BrokerTransport,
  type Envelope,
  type Outcome,
  type Peer,
  PROTOCOL_VERSION,
} from '@panal/transport';
import { Calls } from '../../../broker/src/calls/calls.js';
import { Dispatcher } from '../../../broker/src/scheduling/dispatcher.js';
import { Scheduler } from '../../../broker/src/scheduling/scheduler.js';
import { MAX_ATTEMPTS } from './model.js';

const OWNER = 'public';
const NOTHING = new Uint8Array(0);

/** A store that counts how often a call was settled. */
class CountingStore extends LevelStore {
  settles = 0;

  constructor(location: string, options: LevelStoreOptions) {
    super(location, options);
    const settleCall = this.calls.settleCall.bind(this.calls);
    this.calls.settleCall = async (call) => {
      await settleCall(call);
      this.settles++;
    };
  }
}

/** A link whose messages wait until the test delivers them. */
class HeldLink implements BrokerTransport {
  events: BrokerHandlers | undefined;
  readonly waiting: { peer: Peer; message: BrokerMessage }[] = [];

  async open(events: BrokerHandlers): Promise<void> {
    this.events = events;
  }

  async close(): Promise<void> {
    this.events = undefined;
  }

  send(peer: Peer, message: BrokerMessage): void {
    if (message.type === 'invoke' || message.type === 'cancel') this.waiting.push({ peer, message });
    else this.onOther(peer, message);
  }

  drop(): void {
    // The test drops messages itself.
  }

  /** Welcomes and acknowledgements arrive at once. */
  onOther: (peer: Peer, message: BrokerMessage) => void = () => undefined;
}

interface SimWorker {
  generation: number;
  joined: boolean;
  held: Map<string, { callNum: number; state: 'running' | 'DONE' | 'STOPPED' }>;
}

export interface Look {
  stored: CallRecord | undefined;
  live: CallRecord | undefined;
}

interface BrokerParts {
  calls: Calls;
  dispatcher: Dispatcher;
  link: HeldLink;
}

/** The real broker, without sockets: its calls, its dispatcher and its store in LevelDB; the workers are simulated. */
export class RealWorld {
  told: string | null = null;
  putBacks = 0;
  runs = 0;
  readonly #store: CountingStore;
  readonly #version: VersionRecord;
  readonly #workers: (SimWorker | null)[];
  #broker: BrokerParts | undefined;

  private constructor(folder: string, version: VersionRecord) {
    this.#store = new CountingStore(folder, { durability: 'os' });
    this.#version = version;
    this.#workers = [0, 1].map(() => ({ generation: 0, joined: false, held: new Map() }));
  }

  static async start(folder: string, version: VersionRecord): Promise<RealWorld> {
    const world = new RealWorld(folder, version);
    await world.#store.open();
    const { owner, name } = version.spec;
    const times = { createdAt: 1, updatedAt: 1 };
    await world.#store.functions.putFunction(
      { owner, name, activeVersion: 1, latestVersion: 1, ...times },
      version,
    );
    await world.startBroker();
    for (const worker of [0, 1]) world.greet(worker);
    return world;
  }

  get isUp(): boolean {
    return this.#broker !== undefined;
  }

  get settles(): number {
    return this.#store.settles;
  }

  async startBroker(): Promise<void> {
    if (this.#broker !== undefined) return;
    const log = pino({ level: 'silent' });
    const link = new HeldLink();
    const terms = { heartbeatMs: 60_000, leaseMs: 600_000, exposed: false };
    const brokerId = `run-${++this.runs}`;
    const dispatcher = new Dispatcher({
      transport: link,
      scheduler: new Scheduler(),
      brokerId,
      ...terms,
      log,
    });
    const policy = { attempts: MAX_ATTEMPTS, backoffMs: 0 };
    const bounds = { maxQueue: 10, recoveryMs: 0 };
    const calls = new Calls({ store: this.#store, dispatch: dispatcher, policy, ...bounds, log });
    await calls.recover();
    dispatcher.start(calls.attempts);
    await link.open({ ...dispatcher.handlers, onRequest: async () => undefined });
    link.onOther = (peer, message) => this.#hear(peer, message);
    this.#broker = { calls, dispatcher, link };
  }

  async stopBroker(): Promise<void> {
    const broker = this.#broker;
    if (broker === undefined) return;
    this.#broker = undefined;
    await broker.calls.stop();
    broker.dispatcher.stop();
    await broker.link.close();
    for (const worker of this.#workers) if (worker !== null) worker.joined = false;
    await this.#store.close();
    await this.#store.open();
  }

  async close(): Promise<void> {
    await this.stopBroker();
    await this.#store.close();
  }

  async accept(awaited: boolean): Promise<void> {
    const { calls } = this.#up();
    const call = await calls.accept(this.#version, { kind: 'none', bytes: NOTHING }, { awaited });
    if (!awaited) this.told = 'PENDING';
    void this.#listen(calls, call);
  }

  async cancel(): Promise<void> {
    const { calls } = this.#up();
    // Resolves only once it has ended, or after a while; what it says is told by the call itself.
    void calls.cancel(OWNER, 1).catch(ignoreRefusal);
    await turn();
  }

  async putBack(): Promise<void> {
    const { calls } = this.#up();
    const call = await calls.putBack(OWNER, 1);
    this.putBacks++;
    this.told = 'PENDING';
    void this.#listen(calls, call);
  }

  /** Delivers the first message that waits for a worker. */
  deliver(worker: number): void {
    const { link } = this.#up();
    const at = link.waiting.findIndex(({ peer }) => peer === this.#peer(worker));
    const [found] = at < 0 ? [] : link.waiting.splice(at, 1);
    const state = this.#workers[worker];
    if (found === undefined || state === null || state === undefined) return;
    const { message } = found;
    if (message.type === 'invoke' && !state.held.has(message.lease)) {
      const { lease, callNum } = message;
      state.held.set(lease, { callNum, state: 'running' });
    }
    const held = message.type === 'cancel' ? state.held.get(message.lease) : undefined;
    if (held?.state === 'running') held.state = 'STOPPED';
  }

  end(worker: number): void {
    for (const held of this.#workers[worker]?.held.values() ?? [])
      if (held.state === 'running') held.state = 'DONE';
  }

  /** Says the outcomes that are not acknowledged. */
  report(worker: number): void {
    const { link } = this.#up();
    for (const [lease, { callNum, state }] of this.#workers[worker]?.held ?? []) {
      if (state === 'running') continue;
      const status = state === 'DONE' ? 'DONE' : 'CANCELLED';
      const ends = { status, platform: false, preloaded: false, prepareMs: 0, runMs: 0 } as const;
      const message: Outcome = { type: 'outcome', lease, callNum, worker: `w${worker}`, ...ends, free: 0 };
      const letter: Envelope<Outcome> = { message, parts: [Buffer.from(lease), NOTHING] };
      link.events?.onReply(letter);
    }
  }

  greet(worker: number): void {
    const state = this.#workers[worker];
    const { link } = this.#up();
    if (state === null || state === undefined || state.joined) return;
    link.events?.onMessage(this.#peer(worker), {
      message: {
        type: 'hello',
        protocol: PROTOCOL_VERSION,
        worker: `w${worker}`,
        host: 'test',
        slots: 1,
        sandbox: 'process',
        path: 'direct',
        leases: [...state.held.keys()],
      },
      parts: [],
    });
  }

  cut(worker: number): void {
    const state = this.#workers[worker];
    if (state === null || state === undefined) return;
    state.generation++;
    state.joined = false;
  }

  kill(worker: number): void {
    const generation = this.#workers[worker]?.generation ?? 0;
    this.#workers[worker] = { generation: generation + 1, joined: false, held: new Map() };
  }

  /** The broker takes the worker for lost. */
  lose(worker: number): void {
    this.#broker?.link.events?.onMessage(this.#peer(worker), { message: { type: 'bye' }, parts: [] });
    this.cut(worker);
  }

  /** Lets whatever is under way inside the broker come to rest, and says how the call stands. */
  async look(): Promise<Look> {
    let before = await this.#glance();
    for (;;) {
      await turn();
      const now = await this.#glance();
      if (isSame(before.stored, now.stored) && isSame(before.live, now.live)) return now;
      before = now;
    }
  }

  async #glance(): Promise<Look> {
    for (let turns = 0; turns < 10; turns++) await turn();
    const stored = await this.#store.calls.getCall(OWNER, 1);
    const live = await this.#broker?.calls.get(OWNER, 1);
    return { stored: stored && { ...stored }, live: live && { ...live } };
  }

  #up(): BrokerParts {
    if (this.#broker === undefined) throw new Error('the broker is down');
    return this.#broker;
  }

  #peer(worker: number): Peer {
    return `w${worker}.${this.#workers[worker]?.generation ?? 0}`;
  }

  #hear(peer: Peer, message: BrokerMessage): void {
    const worker = Number(peer[1]);
    const state = this.#workers[worker];
    if (state === null || state === undefined || peer !== this.#peer(worker)) return;
    if (message.type === 'ack') for (const lease of message.leases) state.held.delete(lease);
    if (message.type !== 'welcome') return;
    state.joined = true;
    const busy = [...state.held.values()].some(({ state: each }) => each === 'running');
    if (!busy) this.#broker?.link.events?.onMessage(peer, { message: { type: 'ready', slot: 0 }, parts: [] });
  }

  /** What the client of the call hears of its end. */
  async #listen(calls: Calls, call: CallRecord): Promise<void> {
    try {
      const settled = await calls.settled(call, 60_000);
      if (settled !== undefined && this.#broker?.calls === calls) this.told = settled.status;
    } catch (error) {
      ignoreRefusal(error);
    }
  }
}

function ignoreRefusal(error: unknown): void {
  if (!(error instanceof PanalError)) throw error;
}

function isSame(one: CallRecord | undefined, other: CallRecord | undefined): boolean {
  return one?.status === other?.status && one?.attempts === other?.attempts;
}

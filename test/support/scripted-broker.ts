import type { FunctionSpec, InputKind } from '@panal/protocol';
import {
  decode,
  encode,
  replyMessageSchema,
  workerMessageSchema,
  type Hello,
  type LogPiece,
  type Outcome,
  type WorkerMessage,
} from '@panal/transport';
import type { ZmqBrokerMessage as BrokerMessage, ZmqWelcome as Welcome } from '@panal/transport/zeromq';
import { Pull, Router } from 'zeromq';
import { eventually } from '../../testkit/wait.js';

/** What a scripted broker heard of an outcome. */
export interface HeardOutcome extends Outcome {
  result: string;
  logs: string;
}

/** A piece of a followed call's logs. */
export type HeardLog = LogPiece & { text: string };

export interface ScriptedBrokerOptions {
  /** Ports to bind to; free ones by default. */
  dispatchPort?: number;
  replyPort?: number;
  /** Terms of its welcome that differ from a broker's usual ones. */
  terms?: Partial<Welcome>;
  /** Whether it answers hello by itself, and heartbeats with heartbeats; a mute one does what the test says. */
  mute?: boolean;
  keys?: { curveServer: true; curveSecretKey: string };
}

const local = (port: number): string => `tcp://127.0.0.1:${port}`;

/** The broker's side of dispatch and reply over real sockets, which does what a test tells it to. */
export class ScriptedBroker {
  readonly heard: WorkerMessage[] = [];
  readonly outcomes: HeardOutcome[] = [];
  readonly logs: HeardLog[] = [];
  /** How many times each outcome came, by lease. */
  readonly deliveries = new Map<string, number>();
  acknowledges = true;
  readonly #router: Router;
  readonly #pull: Pull;
  readonly #options: ScriptedBrokerOptions;
  #peer: Buffer | undefined;
  #knows = false;
  #sending: Promise<void> = Promise.resolve();
  #ports = { dispatch: 0, reply: 0 };

  private constructor(options: ScriptedBrokerOptions) {
    this.#options = options;
    this.#router = new Router({ linger: 0, ...options.keys });
    this.#pull = new Pull({ linger: 0, ...options.keys });
  }

  static async open(options: ScriptedBrokerOptions = {}): Promise<ScriptedBroker> {
    const broker = new ScriptedBroker(options);
    await broker.#router.bind(options.dispatchPort ? local(options.dispatchPort) : 'tcp://127.0.0.1:*');
    await broker.#pull.bind(options.replyPort ? local(options.replyPort) : 'tcp://127.0.0.1:*');
    const portOf = ({ lastEndpoint }: Router | Pull): number => Number(lastEndpoint?.split(':').at(-1));
    broker.#ports = { dispatch: portOf(broker.#router), reply: portOf(broker.#pull) };
    void broker.#listen();
    void broker.#collect();
    return broker;
  }

  get address(): string {
    return local(this.#ports.dispatch);
  }

  /** Its ports, for a successor that takes its place. */
  get ports(): { dispatchPort: number; replyPort: number } {
    return { dispatchPort: this.#ports.dispatch, replyPort: this.#ports.reply };
  }

  get hellos(): Hello[] {
    return this.heard.filter((message) => message.type === 'hello');
  }

  /** Mini-workers that offered themselves, by `ready` or with an outcome, in the order of their offers. */
  readonly readySlots: number[] = [];

  /** Says something to the worker that was heard last. */
  say(...messages: BrokerMessage[]): void {
    this.sayFrames(encode(messages.map((message) => ({ message, parts: [] }))));
  }

  sayFrames(frames: [string, Uint8Array]): void {
    const peer = this.#peer;
    if (peer === undefined) throw new Error('no worker was heard yet');
    this.#sending = this.#sending.then(async () => this.#router.send([peer, ...frames]));
  }

  welcome(): void {
    this.say({
      type: 'welcome',
      protocol: 1,
      broker: 'broker-1',
      replyPort: this.#ports.reply,
      bundlePort: this.#ports.reply,
      heartbeatMs: 50,
      leaseMs: 500,
      exposed: false,
      ...this.#options.terms,
    });
  }

  /** Gives the worker an attempt; its lease is `lease N` of the call N. */
  invoke(
    callNum: number,
    slot: number | undefined,
    spec: FunctionSpec,
    json: string,
    known = false,
    spared?: number,
    input: InputKind = 'json',
  ): void {
    const message: BrokerMessage = {
      type: 'invoke',
      lease: `lease ${callNum}`,
      slot,
      spared,
      callNum,
      attempt: 1,
      functionId: spec.id,
      ...(known ? {} : { spec }),
      input,
    };
    this.sayFrames(encode([{ message, parts: [Buffer.from(json)] }]));
  }

  async outcomeOf(callNum: number): Promise<HeardOutcome> {
    return await eventually(`the outcome of call ${callNum}`, () =>
      this.outcomes.find((outcome) => outcome.callNum === callNum),
    );
  }

  async ready(count: number): Promise<void> {
    await eventually(`${count} offers`, () => this.readySlots.length >= count);
  }

  async close(): Promise<void> {
    await this.#sending;
    this.#router.close();
    this.#pull.close();
  }

  async #listen(): Promise<void> {
    for await (const [peer, ...frames] of this.#router) {
      this.#peer = peer;
      for (const { message } of decode(frames, workerMessageSchema)) this.#hear(message);
    }
  }

  #hear(message: WorkerMessage): void {
    this.heard.push(message);
    if (message.type === 'ready') this.readySlots.push(message.slot);
    if (this.#options.mute === true) return;
    if (message.type === 'hello') {
      this.#knows = true;
      this.welcome();
    } else if (!this.#knows) this.say({ type: 'who' });
    else if (message.type === 'heartbeat') this.say({ type: 'heartbeat' });
  }

  async #collect(): Promise<void> {
    for await (const frames of this.#pull) {
      for (const { message, parts } of decode(frames, replyMessageSchema)) {
        if (message.type === 'log') {
          this.logs.push({ ...message, text: Buffer.from(parts[0] ?? []).toString() });
          continue;
        }
        const [result = '', logs = ''] = parts.map((part) => Buffer.from(part).toString());
        this.outcomes.push({ ...message, result, logs });
        if (message.free !== undefined) this.readySlots.push(message.free);
        this.deliveries.set(message.lease, (this.deliveries.get(message.lease) ?? 0) + 1);
        if (this.acknowledges) this.say({ type: 'ack', leases: [message.lease] });
      }
    }
  }
}

import { Dealer, Push } from 'zeromq';
import {
  decode,
  encode,
  PROTOCOL_VERSION,
  type Hello,
  type Invoke,
  type Outcome,
  type WorkerMessage,
} from '@panal/transport';
import {
  zmqBrokerMessageSchema,
  type ZmqBrokerMessage as BrokerMessage,
  type ZmqWelcome as Welcome,
} from '@panal/transport/zeromq';
import { eventually } from '../../testkit/wait.js';

export type HeardInvoke = Invoke & { text: string };

export interface CurveClient {
  curveServerKey: string;
  curvePublicKey: string;
  curveSecretKey: string;
}

/** A worker's side of dispatch and reply over real sockets, which says what a test tells it to. */
export class ScriptedWorker {
  readonly id: string;
  readonly heard: BrokerMessage[] = [];
  readonly invokes: HeardInvoke[] = [];
  /** Is handed each call instead of `nextInvoke`. */
  onInvoke: ((invoke: HeardInvoke) => void) | undefined;
  readonly #keys: CurveClient | undefined;
  readonly #dealer: Dealer;
  #push: Push | undefined;
  #replyPort = 0;
  #sending: Promise<void> = Promise.resolve();
  #replying: Promise<void> = Promise.resolve();

  constructor(id: string, port: number, keys?: CurveClient) {
    this.id = id;
    this.#keys = keys;
    this.#dealer = new Dealer({ linger: 0, ...keys });
    this.#dealer.connect(`tcp://127.0.0.1:${port}`);
    void this.#listen();
  }

  /** Says hello and waits for the welcome. */
  async join(fields: Partial<Hello> = {}): Promise<Welcome> {
    const known = this.heard.length;
    this.hello(fields);
    const welcome = await eventually('the broker welcomes the worker', () =>
      this.heard.slice(known).find((message) => message.type === 'welcome'),
    );
    this.#push ??= new Push({ linger: 0, ...this.#keys });
    if (welcome.replyPort !== this.#replyPort) this.#push.connect(`tcp://127.0.0.1:${welcome.replyPort}`);
    this.#replyPort = welcome.replyPort;
    return welcome;
  }

  hello(fields: Partial<Hello> = {}): void {
    const worker = { worker: this.id, host: 'test', slots: 1, sandbox: 'process', path: 'direct' } as const;
    this.say({ type: 'hello', protocol: PROTOCOL_VERSION, ...worker, leases: [], ...fields });
  }

  say(...messages: WorkerMessage[]): void {
    this.sendFrames(encode(messages.map((message) => ({ message, parts: [] }))));
  }

  sendFrames(frames: (string | Uint8Array)[]): void {
    this.#sending = this.#sending.then(() => this.#dealer.send(frames));
  }

  /** Resolves when the outcome is handed to ZeroMQ. */
  async reply(
    { lease, callNum }: Invoke,
    fields: Partial<Outcome> = {},
    result = '',
    logs = '',
  ): Promise<void> {
    const outcome: Outcome = {
      type: 'outcome',
      lease,
      callNum,
      worker: this.id,
      status: 'DONE',
      platform: false,
      preloaded: false,
      prepareMs: 1,
      runMs: 1,
      ...fields,
    };
    await this.replyFrames(encode([{ message: outcome, parts: [Buffer.from(result), Buffer.from(logs)] }]));
  }

  /** Sends a piece of an attempt's logs. */
  async log({ lease, callNum }: Invoke, offset: number, text: string): Promise<void> {
    await this.replyFrames(
      encode([{ message: { type: 'log', lease, callNum, offset }, parts: [Buffer.from(text)] }]),
    );
  }

  /** Sends whatever this is over the reply channel. */
  async replyFrames(frames: (string | Uint8Array)[]): Promise<void> {
    this.#replying = this.#replying.then(() => this.#push?.send(frames));
    await this.#replying;
  }

  async nextInvoke(): Promise<HeardInvoke> {
    return await eventually(`${this.id} gets a call`, () => this.invokes.shift());
  }

  async hears<T extends BrokerMessage['type']>(type: T): Promise<Extract<BrokerMessage, { type: T }>> {
    const isWanted = (message: BrokerMessage): message is Extract<BrokerMessage, { type: T }> =>
      message.type === type;
    return await eventually(`${this.id} hears ${type}`, () => this.heard.find(isWanted));
  }

  close(): void {
    this.#dealer.close();
    this.#push?.close();
  }

  async #listen(): Promise<void> {
    for await (const frames of this.#dealer) {
      for (const { message, parts } of decode(frames, zmqBrokerMessageSchema)) {
        this.heard.push(message);
        if (message.type === 'invoke') {
          const invoke = { ...message, text: Buffer.from(parts[0] ?? []).toString() };
          if (this.onInvoke === undefined) this.invokes.push(invoke);
          else this.onInvoke(invoke);
        }
      }
    }
  }
}

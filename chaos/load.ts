import { z } from 'zod';
import { FUNCTIONS, resultOf, type FunctionName } from './functions.js';
import type { Entry, Ledger } from './ledger.js';
import type { Random } from './random.js';
import { setTimeout as pause } from 'node:timers/promises';

/** How long a client waits for an answer before it asks again. */
const PATIENCE_MS = 8000;
/** Between two requests of a client. */
const THINK_MS = 40;
const RETRY_MS = 60;
/** One call in so many takes a while, so that faults find bodies that run. */
const SLOW_EVERY = 5;

const acceptedSchema = z.object({ callNum: z.number() });
const callSchema = z.object({ callNum: z.number(), status: z.string(), result: z.string().optional() });

export interface LoadOptions {
  url: string;
  ledger: Ledger;
  random: Random;
  clients: number;
}

/** Clients that call functions one after the other: some wait for the result, some come back for it. */
export class Load {
  readonly #options: LoadOptions;
  #clients: Promise<void>[] = [];
  #running = false;
  #requests = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = true;
    this.#clients = Array.from({ length: this.#options.clients }, () => this.#client());
  }

  /** Resolves once every request is answered. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#clients);
  }

  async #client(): Promise<void> {
    const { random, ledger } = this.#options;
    while (this.#running) {
      const funcName = random.pick(FUNCTIONS);
      const token = `${funcName}-${++this.#requests}`;
      const seconds = random.int(1, SLOW_EVERY) === 1 ? random.int(2, 8) / 10 : 0;
      const body = { token, seconds };
      const kind = random.next();
      if (kind < 0.5) await this.#later(ledger.open(token, funcName, true), body);
      else if (kind < 0.8) await this.#run(ledger.open(token, funcName, true), body);
      else await this.#wait(ledger.open(token, funcName, false), funcName, body);
      await pause(THINK_MS * random.next() * 2);
    }
  }

  /** Asks for a call, until it is accepted. */
  async #later(entry: Entry, params: object): Promise<void> {
    await this.#insist(async () => {
      const body = JSON.stringify({ funcName: entry.funcName, params });
      const answer = await this.#post('/invokeFunction', body, entry.token);
      if (answer.status !== 202) return await this.#refused(answer);
      entry.callNum = acceptedSchema.parse(await answer.json()).callNum;
      return true;
    });
  }

  /** Calls a function for its output, until it has it. */
  async #run(entry: Entry, params: object): Promise<void> {
    await this.#insist(async () => {
      const answer = await this.#post(`/run/${entry.funcName}`, JSON.stringify(params), entry.token);
      const callNum = answer.headers.get('x-call-num');
      if (answer.status !== 200) {
        const text = await answer.clone().text();
        // How the call ended; it ends the same way for whoever asks again.
        if (callNum === null || text.includes('"STORE_UNAVAILABLE"')) return await this.#refused(answer);
        entry.callNum = Number(callNum);
        this.#options.ledger.refused(`/run: ${text}`);
        return true;
      }
      this.#served(entry, Number(callNum), await answer.text());
      return true;
    });
  }

  /** Calls a function once, without a key. What it is told counts; that it is told nothing does not. */
  async #wait(entry: Entry, funcName: FunctionName, params: object): Promise<void> {
    try {
      const answer = await this.#post('/invokeFunction?wait=5', JSON.stringify({ funcName, params }));
      const text = await answer.text();
      if (answer.status === 202) entry.callNum = acceptedSchema.parse(JSON.parse(text)).callNum;
      else if (answer.status !== 200) this.#options.ledger.refused(`${answer.status}`);
      else {
        const call = callSchema.parse(JSON.parse(text));
        entry.callNum = call.callNum;
        entry.toldAt = performance.now();
        if (call.status === 'DONE') this.#served(entry, call.callNum, call.result ?? '');
      }
    } catch (error) {
      this.#options.ledger.refused(reasonOf(error));
    }
  }

  #served(entry: Entry, callNum: number, result: string): void {
    entry.callNum = callNum;
    entry.result = result;
    if (result === resultOf(entry.token)) this.#options.ledger.sawService();
  }

  /** Tries until it was answered, also past faults: that is what the key is for. */
  async #insist(attempt: () => Promise<boolean>): Promise<void> {
    for (;;) {
      try {
        if (await attempt()) return;
      } catch (error) {
        this.#options.ledger.refused(reasonOf(error));
      }
      await pause(RETRY_MS);
    }
  }

  async #refused(answer: Response): Promise<false> {
    await answer.text();
    this.#options.ledger.refused(String(answer.status));
    return false;
  }

  async #post(path: string, body: string, key?: string): Promise<Response> {
    return await fetch(this.#options.url + path, {
      method: 'POST',
      body,
      headers: key === undefined ? {} : { 'Idempotency-Key': key },
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : error.name;
}

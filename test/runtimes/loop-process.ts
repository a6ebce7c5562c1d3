import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type Server, type Socket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';

const CALL = 0x01;
const INPUT = 0x02;
const END_INPUT = 0x03;
export const CANCEL = 0x04;
export const SHUTDOWN = 0x05;
export const READY = 0x11;
const OUT = 0x12;
const ERR = 0x13;
const DONE = 0x14;
const PIECE = 1 << 20;
/** Pipes are what an engine gives a container for its stdio; `spawn` alone gives sockets. */
const PIPED = 'exec "$@" < <(cat) > >(cat)';

const folder = (path: string): string => new URL(`../../runtimes/${path}`, import.meta.url).pathname;

/** How each language's handler loop is started, and what its bundle holds. */
export const LANGUAGES = {
  Python: { command: 'python3', loop: folder('python/loop.py'), handler: 'handler.py' },
  'Node.js': { command: 'node', loop: folder('nodejs/loop.mjs'), handler: 'handler.mjs' },
} as const;
export type Language = keyof typeof LANGUAGES;

export const TRANSPORTS = ['unix socket', 'stdio'] as const;
export type Transport = (typeof TRANSPORTS)[number];

export interface Frame {
  type: number;
  payload: Buffer;
}

export interface Outcome {
  result: Buffer;
  logs: string;
  exitCode: number;
  reason: number;
  text: string;
}

export function frame(type: number, payload: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(payload);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length + 1);
  head.writeUInt8(type, 4);
  return Buffer.concat([head, bytes]);
}

/** All the frames of one call, its body in pieces. */
export function callFrames(body: Buffer | string, header: Record<string, string | number> = {}): Buffer {
  const fields = Object.entries({ callNum: 1, functionName: 'test', version: 1, ...header });
  const frames = [frame(CALL, fields.map(([key, value]) => `${key}=${value}\0`).join(''))];
  const bytes = Buffer.from(body);
  for (let at = 0; at < bytes.length; at += PIECE) frames.push(frame(INPUT, bytes.subarray(at, at + PIECE)));
  return Buffer.concat([...frames, frame(END_INPUT)]);
}

async function* framesOf(stream: Readable): AsyncGenerator<Frame> {
  let buffered = Buffer.alloc(0);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    buffered = Buffer.concat([buffered, chunk]);
    while (buffered.length >= 5 && buffered.length >= 4 + buffered.readUInt32BE()) {
      const end = 4 + buffered.readUInt32BE();
      yield { type: buffered.readUInt8(4), payload: buffered.subarray(5, end) };
      buffered = buffered.subarray(end);
    }
  }
  if (buffered.length > 0) throw new Error(`the stream ended inside a frame: ${buffered.toString('latin1')}`);
}

/** A handler loop in a process of its own, with the worker's end of its stream. */
export class LoopProcess {
  /** What it wrote to its real stderr; whole once it has ended. */
  readonly stderr: Promise<string>;
  /** Its exit code, once it has ended. */
  readonly exitCode: Promise<number | null>;
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #bundle: string;
  readonly #server: Server | undefined;
  #input: Writable | undefined;
  #frames: AsyncGenerator<Frame> | undefined;

  private constructor(
    process: ChildProcessByStdio<Writable, Readable, Readable>,
    bundle: string,
    server?: Server,
  ) {
    this.#process = process;
    this.#bundle = bundle;
    this.#server = server;
    this.stderr = text(process.stderr);
    this.exitCode = once(process, 'exit').then(([code]) => code as number | null);
  }

  /** Waits until it has connected or ended. */
  static async start(language: Language, transport: Transport, handler: string): Promise<LoopProcess> {
    const bundle = await mkdtemp(join(tmpdir(), 'panal-loop-'));
    await writeFile(join(bundle, LANGUAGES[language].handler), handler);
    const { command, loop } = LANGUAGES[language];
    const start = (argv: string[], env: NodeJS.ProcessEnv) => {
      const [first = '', ...rest] = argv;
      return spawn(first, rest, { cwd: bundle, env, stdio: ['pipe', 'pipe', 'pipe'] });
    };
    const env = { ...process.env };
    if (transport === 'unix socket') {
      env.FAAS_SOCKET = join(bundle, 'loop.sock');
      const server = createServer().listen(env.FAAS_SOCKET);
      await once(server, 'listening');
      const started = new LoopProcess(start([command, loop], env), bundle, server);
      await started.#useSocket(server);
      return started;
    }
    delete env.FAAS_SOCKET;
    const started = new LoopProcess(start(['bash', '-c', PIPED, '-', command, loop], env), bundle);
    started.#useStdio();
    return started;
  }

  async #useSocket(server: Server): Promise<void> {
    void buffer(this.#process.stdout); // read, so that it can end
    const connection = once(server, 'connection').then(([socket]) => socket as Socket);
    const socket = await Promise.race([connection, this.exitCode]);
    if (typeof socket === 'object' && socket !== null) this.#use(socket, socket);
  }

  #useStdio(): void {
    const { stdin, stdout } = this.#process;
    // The `cat` before the loop has stderr open, and reads on until its stdin ends.
    stdout.on('end', () => stdin.end());
    this.#use(stdin, stdout);
  }

  #use(input: Writable, output: Readable): void {
    input.on('error', () => undefined); // it may end before all is written
    this.#input = input;
    this.#frames = framesOf(output);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** The next frame; undefined where the process has ended, or never connected. */
  async next(): Promise<Frame | undefined> {
    const result = await this.#frames?.next();
    return result?.done === false ? result.value : undefined;
  }

  async send(bytes: Buffer): Promise<void> {
    await new Promise((resolve) => this.#input?.write(bytes, resolve));
  }

  async call(body: Buffer | string, header: Record<string, string | number> = {}): Promise<Outcome> {
    void this.send(callFrames(body, header));
    return await this.outcome();
  }

  /** The frames up to DONE. */
  async outcome(): Promise<Outcome> {
    const result: Buffer[] = [];
    const logs: Buffer[] = [];
    for (;;) {
      const frame = await this.next();
      if (frame?.type === OUT) result.push(frame.payload);
      else if (frame?.type === ERR) logs.push(frame.payload);
      else if (frame?.type === DONE) {
        return {
          result: Buffer.concat(result),
          logs: Buffer.concat(logs).toString(),
          exitCode: frame.payload.readInt32BE(),
          reason: frame.payload.readUInt8(4),
          text: frame.payload.toString('utf8', 5),
        };
      } else {
        throw new Error(`got ${frame === undefined ? 'the end' : `frame ${frame.type}`} in place of DONE`);
      }
    }
  }

  /** As a worker that goes away does. */
  hangUp(): void {
    this.#input?.end();
  }

  async stop(): Promise<void> {
    this.#input?.destroy();
    this.#process.stdin.destroy();
    this.#process.kill('SIGKILL');
    await this.exitCode;
    this.#server?.close();
    await rm(this.#bundle, { recursive: true, force: true });
  }
}

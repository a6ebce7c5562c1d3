import type { Duplex } from 'node:stream';
import type { CallError, FunctionSpec } from '@panal/protocol';
import { PlatformError } from '../../errors.js';
import type { RunRequest, RunResult } from '../run.js';
import { ActiveCall } from '../active-call.js';
import {
  emptyFrame,
  encodeCall,
  FRAME,
  FrameParser,
  ProtocolError,
  REASON,
  RUNTIME_PROTOCOL,
} from './frames.js';
import { endedDuringCall, exited, failed, killed, neverRun, stopped, type Verdict } from '../verdict.js';

/** How long an agent may take to end a call that was stopped. */
const STOP_GRACE_MS = 500;
const SIGKILLED = 128 + 9;
const DONE_HEAD = 5;
const NAME = /\0(\d+\.\d+)$/;

/**
 * What serves calls at the other end, by the kind that it says when it is ready: a handler loop, or the agent, which
 * starts a process for each call and can stop it.
 */
const PEERS = { handler: { startsProcesses: false }, agent: { startsProcesses: true } } as const;
type PeerKind = keyof typeof PEERS;

export interface ChannelOptions {
  /** Asked why a process was killed or vanished during a call, as far as the driver knows (out of memory). */
  explain?: (() => Promise<CallError | undefined>) | undefined;
  /** Asked for the exit code of the process at the other end, 128 + the signal's number, once the connection is lost. */
  exitCode?: (() => Promise<number | undefined>) | undefined;
}

/**
 * The worker's end of the runtime protocol: runs calls, one at a time, in the process at the other end of `stream`.
 * Keeps time itself: an agent has a moment to end a stopped call, a handler none, since it cannot be interrupted.
 */
export class Channel {
  /** Called once, when the connection is gone and no call was running. */
  onClose: (() => void) | undefined;
  readonly #stream: Duplex;
  readonly #options: ChannelOptions;
  readonly #parser = new FrameParser((type, payload) => this.#onFrame(type, payload));
  #peer: (typeof PEERS)[PeerKind] | undefined;
  #call: ActiveCall | undefined;
  /** Why the channel is gone, once it is. */
  #lost: Error | undefined;
  /** Wakes `ready`. */
  #onReady: (() => void) | undefined;

  constructor(stream: Duplex, options: ChannelOptions = {}) {
    this.#stream = stream;
    this.#options = options;
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.on('error', (error) => this.#lose(error));
    stream.on('end', () => this.#lose(new Error('the process closed its connection')));
    stream.on('close', () => this.#lose(new Error('the connection was closed')));
  }

  /** Whether a call can be run now. */
  get idle(): boolean {
    return this.#peer !== undefined && this.#call === undefined && this.#lost === undefined;
  }

  /**
   * Waits for READY.
   * @throws Error when the process does not say it within `timeoutMs`, or goes away before; the reason of `signal` when
   * that is aborted. The channel is destroyed then.
   */
  async ready(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    let timer: NodeJS.Timeout | undefined;
    let onAbort: (() => void) | undefined;
    await new Promise<void>((resolve) => {
      this.#onReady = resolve;
      if (this.#peer !== undefined || this.#lost !== undefined) resolve();
      onAbort = () => this.#lose(new Error('aborted'));
      signal?.addEventListener('abort', onAbort);
      timer = setTimeout(() => this.#lose(new Error(`not ready within ${timeoutMs} ms`)), timeoutMs);
    });
    clearTimeout(timer);
    if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
    this.#onReady = undefined;
    signal?.throwIfAborted();
    if (this.#lost !== undefined) throw this.#lost;
  }

  /**
   * Runs one call: in an agent by the command `argv` in the folder `cwd`.
   * @throws PlatformError SANDBOX_FAILED when the connection was gone before.
   * @throws TypeError while another call runs, and before the process is ready.
   */
  async run(
    request: RunRequest,
    spec: FunctionSpec,
    argv: readonly string[] = [],
    cwd?: string,
  ): Promise<RunResult> {
    if (this.#lost !== undefined) {
      throw new PlatformError('SANDBOX_FAILED', `the sandbox is gone: ${this.#lost.message}`);
    }
    if (!this.idle) throw new TypeError('a channel runs one call at a time, once it is ready');
    if (request.signal.aborted) return neverRun(request);
    const frames = encodeCall(this.#fields(request, spec, argv, cwd), request.body);
    return await new Promise((resolve) => {
      this.#call = new ActiveCall(request, resolve, (call) => this.#onStop(call));
      this.#write(frames);
    });
  }

  /** Output of the sandbox outside the protocol: it belongs to the logs of the call that runs, if any. */
  addLogs(piece: Uint8Array): void {
    this.#call?.output.addLogs(piece);
  }

  /** Cuts the connection. A call that runs ends as failed. May be called twice. */
  destroy(): void {
    this.#lose(new Error('the sandbox was removed'));
  }

  #fields(request: RunRequest, spec: FunctionSpec, argv: readonly string[], cwd?: string): string[] {
    const fields = [
      `callNum=${request.callNum}`,
      `functionName=${spec.name}`,
      `version=${spec.version}`,
      `attempt=${request.attempt}`,
      `deadline=${Date.now() + request.timeoutMs}`,
    ];
    if (!this.#peer?.startsProcesses) return [...fields, `call=${nameOf(request)}`];
    for (const argument of argv) fields.push(`arg=${argument}`);
    for (const [name, value] of Object.entries(request.env)) fields.push(`env=${name}=${value}`);
    if (cwd !== undefined) fields.push(`cwd=${cwd}`);
    return fields;
  }

  #write(frames: readonly Uint8Array[]): void {
    if (frames.length > 1) this.#stream.cork();
    for (const frame of frames) this.#stream.write(frame);
    if (frames.length > 1) this.#stream.uncork();
  }

  #onStop(call: ActiveCall): void {
    if (!this.#peer?.startsProcesses) {
      this.#lose(new Error('the call was stopped'));
      return;
    }
    this.#write([emptyFrame(FRAME.CANCEL)]);
    call.settleWithin(STOP_GRACE_MS, () => this.#lose(new Error('the agent did not stop the call')));
  }

  #onData(chunk: Buffer): void {
    try {
      this.#parser.push(chunk);
    } catch (error) {
      this.#lose(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** @throws ProtocolError when the frame may not come now. */
  #onFrame(type: number, payload: Buffer): void {
    if (this.#lost !== undefined) return;
    const call = this.#call;
    if (type === FRAME.READY && this.#peer === undefined) {
      this.#peer = PEERS[parseReady(payload)];
      this.#onReady?.();
    } else if (type === FRAME.ERR) {
      call?.output.addLogs(payload);
    } else if (type === FRAME.OUT && call !== undefined) {
      call.addResult(payload);
    } else if (type === FRAME.DONE && call !== undefined) {
      this.#onDone(call, payload);
    } else {
      throw new ProtocolError(`a frame of type ${type} that may not come now`);
    }
  }

  #onDone(call: ActiveCall, payload: Buffer): void {
    if (payload.length < DONE_HEAD) throw new ProtocolError('a DONE that is too short');
    const { text, name } = namedText(payload.toString('utf8', DONE_HEAD));
    if (name !== undefined && name !== nameOf(call.request)) {
      throw new ProtocolError(`a DONE of call ${name} in call ${nameOf(call.request)}`);
    }
    const code = payload.readInt32BE();
    const verdict = verdictOf(call.request, code, payload.readUInt8(4), text);
    this.#call = undefined;
    if (code === SIGKILLED && this.#options.explain !== undefined) {
      void this.#explain().then((cause) => {
        // What took the memory may lie in it still, as files do that are kept in memory.
        call.settle(cause === undefined ? verdict : failed(cause, code), cause === undefined);
      });
    } else {
      call.settle(verdict, true);
    }
  }

  /** Ends the connection for `cause`, and the call that runs with it. */
  #lose(cause: Error): void {
    if (this.#lost !== undefined) return;
    this.#lost = cause;
    this.#stream.destroy();
    this.#onReady?.();
    const call = this.#call;
    this.#call = undefined;
    if (call === undefined) this.onClose?.();
    else if (call.stop !== undefined) call.settle(stopped(call.stop, call.request), false);
    else void this.#settleLost(call, cause);
  }

  /** Never rejects. */
  async #settleLost(call: ActiveCall, cause: Error): Promise<void> {
    const ask = cause instanceof ProtocolError ? undefined : this.#options.exitCode;
    const exitCode = await ask?.().catch(() => undefined);
    const killed = exitCode === undefined || exitCode === SIGKILLED;
    const known = killed ? await this.#explain() : undefined;
    if (known !== undefined) call.settle(failed(known, exitCode), false);
    else call.settle(exitCode === undefined ? failed(vanished(cause)) : endedDuringCall(exitCode), false);
  }

  /** Never rejects. */
  async #explain(): Promise<CallError | undefined> {
    return await this.#options.explain?.().catch(() => undefined);
  }
}

/** What a handler's DONE calls this call. */
const nameOf = ({ callNum, attempt }: RunRequest): string => `${callNum}.${attempt}`;

/** The text of a DONE, and the name of its call, if the process wrote one behind it. */
function namedText(text: string): { text: string; name: string | undefined } {
  const [named, name] = NAME.exec(text) ?? [];
  return { text: named === undefined ? text : text.slice(0, -named.length), name };
}

function vanished(cause: Error): CallError {
  const how = cause instanceof ProtocolError ? 'broke the runtime protocol' : 'ended during the call';
  return { code: 'FUNCTION_FAILED', message: `the function's process ${how}: ${cause.message}` };
}

function verdictOf(request: RunRequest, code: number, reason: number, text: string): Verdict {
  switch (reason) {
    case REASON.EXITED:
      return exited(code, text);
    case REASON.SIGNAL:
      return killed(code);
    case REASON.STOPPED:
      return stopped('timeout', request);
    case REASON.NOT_STARTED:
      return failed({ code: 'START_FAILED', message: text }, code);
    default:
      throw new ProtocolError(`a DONE with reason ${reason}`);
  }
}

function parseReady(payload: Buffer): PeerKind {
  let value: unknown;
  try {
    value = JSON.parse(payload.toString());
  } catch {
    throw new ProtocolError('a READY that is not JSON');
  }
  if (typeof value !== 'object' || value === null || !('protocol' in value) || !('kind' in value)) {
    throw new ProtocolError('a READY without protocol and kind');
  }
  if (value.protocol !== RUNTIME_PROTOCOL) throw new ProtocolError('a READY of another protocol');
  if (value.kind !== 'handler' && value.kind !== 'agent') throw new ProtocolError('a READY of no known kind');
  return value.kind;
}

import { isSettled } from '@panal/api';
import type { CallAnswer } from './accepting.js';
import { ApiError, ConnectionError } from './errors.js';
import { pause, type RequestOptions } from './http.js';
import type { LogEvent } from './logs.js';

export interface FollowOptions extends RequestOptions {
  /** Gets the logs of the call, piece by piece, as they are written. */
  onLogs?: ((piece: string) => void) | undefined;
}

/** How long a broken connection stays down before it is tried again, and for how long in all. */
const RETRY_MS = 200;
const GIVE_UP_MS = 30_000;

/** What a call is followed by. */
export interface FollowedCalls {
  get(callNum: number, options: RequestOptions): Promise<CallAnswer>;
  logs(callNum: number, options: RequestOptions): AsyncIterable<LogEvent>;
}

/** Waits until a call ends, also if the broker starts anew meanwhile. */
export async function followCall(
  calls: FollowedCalls,
  callNum: number,
  { onLogs = () => undefined, signal }: FollowOptions,
): Promise<CallAnswer> {
  let lostAt: number | undefined;
  const shown = new ShownLogs(onLogs);
  for (;;) {
    try {
      await readLogs(calls, callNum, shown, signal).catch(unlessMissing);
      const call = await calls.get(callNum, { signal });
      lostAt = undefined;
      if (isSettled(call.status)) {
        // What was written while nobody listened.
        shown.replay();
        shown.add(call.logs ?? '');
        return call;
      }
    } catch (error) {
      signal?.throwIfAborted();
      lostAt ??= performance.now();
      if (!(error instanceof ConnectionError) || performance.now() - lostAt > GIVE_UP_MS) throw error;
    }
    await pause(RETRY_MS, signal);
  }
}

/** Reads the stream of logs to its end. */
async function readLogs(
  calls: FollowedCalls,
  callNum: number,
  shown: ShownLogs,
  signal: AbortSignal | undefined,
): Promise<void> {
  shown.replay();
  for await (const event of calls.logs(callNum, { signal })) {
    if (event.type === 'end') return;
    if (event.type === 'attempt') shown.restart();
    else shown.add(event.text);
  }
}

/** A broker of an earlier version, or a proxy before it, may have no such route: then the logs come at the end. */
function unlessMissing(error: unknown): void {
  if (!(error instanceof ApiError && error.code === 'NOT_FOUND')) throw error;
}

/** Each stream begins with the logs from their beginning: what was shown before is not shown again. */
class ShownLogs {
  readonly #show: (piece: string) => void;
  #shown = 0;
  #at = 0;

  constructor(show: (piece: string) => void) {
    this.#show = show;
  }

  /** The same logs come again from their beginning. */
  replay(): void {
    this.#at = 0;
  }

  /** Other logs begin: those of another attempt. */
  restart(): void {
    this.#at = 0;
    this.#shown = 0;
  }

  add(piece: string): void {
    const fresh = piece.slice(Math.max(0, this.#shown - this.#at));
    this.#at += piece.length;
    this.#shown = Math.max(this.#shown, this.#at);
    if (fresh !== '') this.#show(fresh);
  }
}

import { setTimeout as pause } from 'node:timers/promises';
import { askCall, callPath, hasEnded, type Call } from './api.js';
import type { Client } from './client.js';
import { Failure } from './failure.js';

export interface FollowOptions {
  /** Gets the call's logs, piece by piece, as they are written. */
  onLogs: (piece: string) => void;
  /** Stops following; the call goes on. */
  signal: AbortSignal;
}

/** How long a broken connection stays down before it is tried again, and for how long in all. */
const RETRY_MS = 200;
const GIVE_UP_MS = 30_000;

/**
 * Waits until a call ends, also where the cluster is started anew meanwhile.
 * @returns the call as it ended
 * @throws Failure; the signal's reason
 */
export async function followCall(
  client: Client,
  callNum: number,
  { onLogs, signal }: FollowOptions,
): Promise<Call> {
  let lostAt: number | undefined;
  const shown = new ShownLogs(onLogs);
  for (;;) {
    try {
      await readLogs(client, callNum, shown, signal).catch(unlessMissing);
      const call = await askCall(client, 'GET', callPath(callNum), { signal });
      lostAt = undefined;
      if (hasEnded(call)) {
        // What was written while nobody listened.
        shown.replay();
        shown.add(call.logs ?? '');
        return call;
      }
    } catch (error) {
      signal.throwIfAborted();
      lostAt ??= performance.now();
      const lost = error instanceof Failure && error.code === 'UNREACHABLE';
      if (!lost || performance.now() - lostAt > GIVE_UP_MS) throw error;
    }
    await pause(RETRY_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** Reads the stream of logs to its end. */
async function readLogs(
  client: Client,
  callNum: number,
  shown: ShownLogs,
  signal: AbortSignal,
): Promise<void> {
  shown.replay();
  for await (const { event, data } of client.events(callPath(callNum, '/logs'), signal)) {
    if (event === 'end') return;
    if (event === 'attempt') shown.restart();
    if (event === 'log') shown.add(textOf(data));
  }
}

/** A cluster of an earlier version, or a proxy before it, may have no such route: then its logs come at the end. */
function unlessMissing(error: unknown): void {
  if (!(error instanceof Failure && error.code === 'NOT_FOUND')) throw error;
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

function textOf(data: string): string {
  const value: unknown = JSON.parse(data);
  if (typeof value === 'string') return value;
  throw new Failure('a piece of the logs is no text');
}

import type { CallRecord } from '@panal/db';
import type { Job } from '../scheduling/job.js';
import type { ActiveCall } from './active-call.js';

/** Somebody who follows the logs of a call. Handlers do not throw. */
export interface LogFollower {
  /** An attempt began; what came before was logged by an earlier one. */
  attempt(number: number): void;
  piece(bytes: Uint8Array): void;
  /** It has all that its worker knew of when it was asked; what comes now is new. Told again for each who joins. */
  upToDate?(): void;
  /** The call has ended: nothing comes after this. */
  end(call: CallRecord): void;
}

interface Place {
  readonly follower: LogFollower;
  /** Bytes of the current attempt's logs that it has. */
  position: number;
}

interface Followed {
  readonly places: Set<Place>;
  /** The attempt whose logs are followed: its number, and its job while it runs. */
  attempt: number;
  job: Job | undefined;
}

/**
 * Those who follow the logs of calls. Keeps no logs itself: a worker sends the logs of a followed attempt from their
 * first byte, again for each who joins, and everyone takes what is new. What did not come that way comes with the
 * attempt's outcome.
 */
export class LogFollowers {
  readonly #followed = new Map<number, Followed>();
  /** Asks the worker of an attempt for its logs, or tells it that nobody wants them. */
  readonly #ask: (job: Job, on: boolean) => void;

  constructor(ask: (job: Job, on: boolean) => void) {
    this.#ask = ask;
  }

  /** Calls that are followed. */
  get size(): number {
    return this.#followed.size;
  }

  /**
   * Tells `follower` what is stored of the call's logs, and all that comes. Returns what ends that.
   * @param earlier the logs of its last attempt
   */
  add({ record, job }: ActiveCall, follower: LogFollower, earlier = record.logs): () => void {
    const { callNum } = record;
    const running = record.status === 'RUNNING' ? job : undefined;
    const place: Place = { follower, position: 0 };
    let followed = this.#followed.get(callNum);
    if (followed === undefined) {
      followed = { places: new Set(), attempt: record.attempts, job: running };
      this.#followed.set(callNum, followed);
    }
    followed.places.add(place);
    if (running !== undefined) this.#ask(running, true);
    else if (earlier !== undefined) follower.piece(earlier);
    return () => this.#leave(callNum, place);
  }

  /** An attempt began, or its worker came back with it. */
  started(job: Job): void {
    const followed = this.#followed.get(job.callNum);
    if (followed === undefined) return;
    followed.job = job;
    if (followed.attempt !== job.attempt) {
      followed.attempt = job.attempt;
      for (const place of followed.places) {
        place.position = 0;
        place.follower.attempt(job.attempt);
      }
    }
    this.#ask(job, true);
  }

  /** `bytes` of the attempt's logs, which stand at `offset` in them. */
  logged(job: Job, offset: number, bytes: Uint8Array): void {
    const followed = this.#followed.get(job.callNum);
    if (followed?.job !== job) return;
    let missing = false;
    for (const place of followed.places) missing = !advance(place, offset, bytes) || missing;
    // What came before was lost with a connection.
    if (missing) this.#ask(job, true);
    if (offset === 0) for (const { follower } of followed.places) follower.upToDate?.();
  }

  /** The attempt has ended, with these logs. */
  attemptEnded(callNum: number, logs: Uint8Array): void {
    const followed = this.#followed.get(callNum);
    if (followed === undefined) return;
    followed.job = undefined;
    for (const place of followed.places) advance(place, 0, logs);
  }

  callEnded(call: CallRecord): void {
    const followed = this.#followed.get(call.callNum);
    if (followed === undefined) return;
    this.#followed.delete(call.callNum);
    for (const { follower } of followed.places) follower.end(call);
  }

  #leave(callNum: number, place: Place): void {
    const followed = this.#followed.get(callNum);
    if (followed?.places.delete(place) !== true || followed.places.size > 0) return;
    this.#followed.delete(callNum);
    if (followed.job !== undefined) this.#ask(followed.job, false);
  }
}

/** Gives the follower what of `bytes` it has not; false where something before them is missing. */
function advance(place: Place, offset: number, bytes: Uint8Array): boolean {
  if (offset > place.position) return false;
  const fresh = bytes.subarray(place.position - offset);
  if (fresh.byteLength === 0) return true;
  place.position = offset + bytes.byteLength;
  place.follower.piece(fresh);
  return true;
}

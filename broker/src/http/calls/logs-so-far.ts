import { setTimeout as pause } from 'node:timers/promises';
import type { CallRecord } from '@panal/db';
import type { LogFollower } from '../../calls/log-followers.js';
import type { Services } from '../services.js';

/** How long a worker may take to say what a call has logged, in ms. One of an earlier version is silent for nothing. */
const ANSWER_MS = 1000;

/**
 * What the current attempt of a running call has logged so far; what is known of it where its worker does not answer.
 * @throws PanalError CALL_NOT_FOUND where it is gone by now
 */
export async function logsSoFar(
  calls: Pick<Services['calls'], 'follow'>,
  { owner, callNum }: CallRecord,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const answered = new AbortController();
  const enough = (): void => answered.abort();
  const follower: LogFollower = {
    attempt: () => void pieces.splice(0),
    piece: (bytes) => void pieces.push(bytes),
    upToDate: enough,
    end: enough,
  };
  const stop = await calls.follow(owner, callNum, follower);
  // Ends early, with an error that says so, when the answer is there.
  await pause(ANSWER_MS, undefined, { signal: answered.signal }).catch(() => undefined);
  stop();
  return Buffer.concat(pieces);
}

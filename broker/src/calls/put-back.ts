import type { CallRecord, CallStore, VersionRecord } from '@panal/db';
import { PanalError } from '@panal/protocol';
import { ActiveCall } from './active-call.js';

/**
 * Takes a call that gave up, to begin anew: as many attempts as at first, and none to wait for. Numbers of attempts go
 * on from where they were, so that no two attempts of a call ever have the same name.
 * @param versionOf finds the version that a call was accepted with
 * @throws PanalError CALL_NOT_FOUND; CALL_NOT_DEAD; VERSION_NOT_FOUND where the call can never run again
 */
export async function takeDeadCall(
  store: CallStore,
  { owner, callNum, now }: { owner: string; callNum: number; now: number },
  versionOf: (record: CallRecord) => Promise<VersionRecord | undefined>,
): Promise<ActiveCall> {
  const dead = await store.getCall(owner, callNum);
  if (dead === undefined) throw notFound(callNum);
  if (dead.status !== 'DEAD') throw notDead(dead);
  const version = await versionOf(dead);
  if (version === undefined) {
    const gone = `version ${dead.version} of ${dead.funcName}, which call ${callNum} was accepted with, was deleted`;
    throw new PanalError('VERSION_NOT_FOUND', gone);
  }
  const putBack = { at: now, attempts: dead.attempts };
  // What the last attempt logged, and why it failed, stays until the next one begins.
  const without = { settledAt: undefined, result: undefined, timings: undefined };
  return new ActiveCall({ ...dead, ...without, status: 'PENDING', putBack }, version);
}

/** Stores a call that was put back. @throws PanalError CALL_NOT_FOUND where it was removed meanwhile */
export async function storePutBack(store: CallStore, call: CallRecord): Promise<void> {
  if (!(await store.putBackCall(call))) throw notFound(call.callNum);
}

const notFound = (callNum: number): PanalError =>
  new PanalError('CALL_NOT_FOUND', `there is no call ${callNum}`);

/** Why a call cannot be put back. */
export const notDead = ({ callNum, status }: CallRecord): PanalError =>
  new PanalError('CALL_NOT_DEAD', `call ${callNum} is ${status}; only one that is DEAD can be put back`);

import type { CallRecord } from '@panal/db';
import { PanalError } from '@panal/protocol';
import { disconnection, type Context, type Disconnection } from '../routing/context.js';
import type { Services } from '../services.js';

/**
 * Waits for the end of a call for a client that hears of it by its end alone. A client that goes away takes its call
 * with it, unless it is to `keep`.
 * @returns the settled call, or `undefined` after `waitMs`
 */
export async function endOfCall(
  { calls, log }: Pick<Services, 'calls' | 'log'>,
  ctx: Context,
  call: CallRecord,
  waitMs: number,
  onDisconnect: 'cancel' | 'keep',
): Promise<CallRecord | undefined> {
  const gone = disconnection(ctx);
  const leaves: Disconnection = (listener) =>
    gone(() => {
      abandon({ calls, log }, call);
      listener();
    });
  return await calls.settled(call, waitMs, onDisconnect === 'keep' ? gone : leaves);
}

/** Cancels a call whose result is for nobody any more. Nobody waits for that either. */
export function abandon(
  { calls, log }: Pick<Services, 'calls' | 'log'>,
  { owner, callNum }: CallRecord,
): void {
  // It is the broker that leaves, not the client: the next one goes on with the call.
  if (calls.stopping) return;
  calls.cancel(owner, callNum).catch((error: unknown) => {
    // An expected failure says that there is nothing to cancel.
    if (!(error instanceof PanalError)) log.error({ err: error }, 'a call was not cancelled');
  });
}

import type { CallRecord } from '@panal/db';
import type { Context } from '../routing/context.js';
import type { Rest } from '../routing/route.js';
import type { Services } from '../services.js';
import { callOf, type Invocation } from './keyed-call.js';

/** Waits for the end of a call, and answers with it. It must not refer to the parameter: that would stay in memory. */
export type AnswerCall = (call: CallRecord) => Promise<void>;

/**
 * Accepts a call whose client waits for it, if not too many wait already.
 * @throws PanalError QUEUE_FULL, and as `callOf` does
 */
export async function acceptAwaited(
  services: Pick<Services, 'calls' | 'functions' | 'keyedCalls' | 'memory'>,
  ctx: Context,
  invocation: Invocation,
  answer: AnswerCall,
): Promise<Rest> {
  const leave = services.memory.waiting.enter(ctx.state.owner);
  try {
    const call = await callOf(services, ctx, invocation);
    return () => answer(call).finally(leave);
  } catch (error) {
    leave();
    throw error;
  }
}

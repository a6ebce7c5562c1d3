import { CALL_PARTS, LIST_BYTES, sizeOfPart, type CallRecord } from '@panal/db';
import { withoutLongParts } from '../../calls/long-parts.js';
import type { Context } from '../routing/context.js';
import type { Services } from '../services.js';

/**
 * Answers with a call and all of its parts; or without one. Long parts are read in a turn of their owner: however many
 * clients wait for large calls, few of those are in memory. Not `async`, so that nothing refers to the parts meanwhile.
 */
export function answerWhole(
  { calls, memory: { readings } }: Pick<Services, 'calls' | 'memory'>,
  ctx: Context,
  call: CallRecord | undefined,
  answer: (whole: CallRecord | undefined) => void,
): Promise<void> {
  if (call === undefined || CALL_PARTS.every((part) => sizeOfPart(call, part) <= LIST_BYTES))
    return answerNow(calls, call, answer);
  const kept = readings.isFree(call.owner) ? call : withoutLongParts(call);
  return readings.run(kept.owner, () =>
    ctx.res.closed ? Promise.resolve() : answerNow(calls, kept, answer),
  );
}

async function answerNow(
  calls: Services['calls'],
  call: CallRecord | undefined,
  answer: (whole: CallRecord | undefined) => void,
): Promise<void> {
  answer(call && (await calls.whole(call)));
}

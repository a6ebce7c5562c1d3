import type { VersionRecord } from '@panal/db';
import { PanalError } from '@panal/protocol';
import type { ActiveCalls } from './active-calls.js';

/** How many calls may be unsettled at once. */
export interface QueueBounds {
  /** In all. */
  maxQueue: number;
  /** Of one owner; unlimited by default. */
  ownerQueue?: (owner: string) => number;
}

/** Seconds after which a refused client may try again. */
const RETRY_AFTER = 1;

/**
 * Refuses a call that there is no room for, or that nothing could run.
 * @param hasEngine whether any worker has a container engine; `undefined` while no worker is connected
 * @throws PanalError QUEUE_FULL, NO_CONTAINER_ENGINE
 */
export function admit(
  { spec }: VersionRecord,
  active: ActiveCalls,
  { maxQueue, ownerQueue }: QueueBounds,
  hasEngine: () => boolean | undefined,
): void {
  if (active.size >= maxQueue) throw queueFull(`${active.size} calls wait already`);
  const own = active.ofOwner(spec.owner);
  if (ownerQueue !== undefined && own >= ownerQueue(spec.owner)) {
    throw queueFull(`${own} calls of ${spec.owner} wait already`);
  }
  if (spec.kind === 'image' && hasEngine() === false) {
    throw new PanalError(
      'NO_CONTAINER_ENGINE',
      `no worker has a container engine to run image ${spec.image}`,
    );
  }
}

const queueFull = (why: string): PanalError => new PanalError('QUEUE_FULL', why, { retryAfter: RETRY_AFTER });

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

/** The connected workers, as far as it matters here. */
export interface CallHosts {
  /** Whether any has a container engine; `undefined` while no worker is connected. */
  hasEngine(): boolean | undefined;
  /** Most memory that a call may have, in MiB; `undefined` while no worker is connected that could run it. */
  largestMb(needsEngine: boolean): number | undefined;
}

/** Seconds after which a refused client may try again. */
const RETRY_AFTER = 1;

/**
 * Refuses a call that there is no room for, or that nothing could run.
 * @throws PanalError QUEUE_FULL, NO_CONTAINER_ENGINE, NO_WORKER_FITS
 */
export function admit(
  { spec }: VersionRecord,
  active: ActiveCalls,
  { maxQueue, ownerQueue }: QueueBounds,
  hosts: CallHosts,
): void {
  if (active.size >= maxQueue) throw queueFull(`${active.size} calls wait already`);
  const own = active.ofOwner(spec.owner);
  if (ownerQueue !== undefined && own >= ownerQueue(spec.owner)) {
    throw queueFull(`${own} calls of ${spec.owner} wait already`);
  }
  if (spec.kind === 'image' && hosts.hasEngine() === false) {
    throw new PanalError(
      'NO_CONTAINER_ENGINE',
      `no worker has a container engine to run image ${spec.image}`,
    );
  }
  const { memoryMb } = spec.settings;
  const most = hosts.largestMb(spec.kind === 'image') ?? Infinity;
  if (memoryMb > most) {
    const why = `memoryMb ${memoryMb} is more than any connected worker gives to its calls: ${most}`;
    throw new PanalError('NO_WORKER_FITS', `${why} (FAAS_WORKER_MEMORY_MB)`);
  }
}

const queueFull = (why: string): PanalError => new PanalError('QUEUE_FULL', why, { retryAfter: RETRY_AFTER });

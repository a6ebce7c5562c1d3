import type { VersionRecord } from '@panal/db';
import {
  imageNameOf,
  PanalError,
  PUBLIC_OWNER,
  requires,
  type Capability,
  type Support,
} from '@panal/protocol';
import type { ActiveCalls } from './active-calls.js';
import { memoryOf } from './call-memory.js';

/** How much may be unsettled at once. */
export interface QueueBounds {
  /** Calls in all. */
  maxQueue: number;
  /** Calls of one owner; unlimited by default. */
  ownerQueue?: (owner: string) => number;
  /** Bytes of parameters in all, and of one owner; unlimited by default. */
  maxBytes?: number;
  ownerBytes?: number;
  /** Refuses what there is no room for on the disk. */
  room?: { admit: (bytes: number) => void };
  /** Bytes of memory for parameters of calls and for the versions that they use; unlimited by default. */
  memoryBytes?: number;
}

/** The connected workers, as far as it matters here. */
export interface CallHosts {
  support(capability: Capability): Support;
  /** Most memory that a call may have, in MiB; `undefined` while no worker is connected that could run it. */
  largestMb(needsEngine: boolean): number | undefined;
}

/** The part of the memory for versions that one owner's may take. */
const OWNERS_SHARE = 1 / 4;

/** About how many bytes a call takes on disk besides its parameter. */
const RECORD_BYTES = 1024;

/** Seconds after which a refused client may try again. */
const RETRY_AFTER = 1;

/**
 * Refuses a call that there is no room for, or that nothing could run.
 * @param size bytes of its parameter
 * @param prepares whether it only prepares its function
 * @throws PanalError NOT_FOUND if a worker of an earlier version would not prepare it; QUEUE_FULL, NO_CONTAINER_ENGINE, NO_WORKER_FITS, STORE_UNAVAILABLE
 */
export function admit(
  version: VersionRecord,
  { size, prepares }: { size: number; prepares: boolean },
  active: ActiveCalls,
  bounds: QueueBounds,
  hosts: CallHosts,
): void {
  const { spec } = version;
  if (prepares && lacks(hosts.support('prepare')))
    throw new PanalError('NOT_FOUND', 'a worker of an earlier version is connected, which prepares nothing');
  admitToQueue(spec.owner, size, active, bounds);
  admitVersion(version, active, bounds);
  const needsImages = requires(spec, 'images');
  if (needsImages && hosts.support('images') === 'none') {
    const image = imageNameOf(spec) ?? '';
    throw new PanalError('NO_CONTAINER_ENGINE', `no worker has a container engine to run image ${image}`);
  }
  bounds.room?.admit(size + RECORD_BYTES);
  const { memoryMb } = spec.settings;
  const most = hosts.largestMb(needsImages) ?? Infinity;
  if (memoryMb > most) {
    const why = `memoryMb ${memoryMb} is more than any connected worker gives to its calls: ${most}`;
    throw new PanalError('NO_WORKER_FITS', `${why} (FAAS_WORKER_MEMORY_MB)`);
  }
}

/** Whether a worker is connected that has it not. */
const lacks = (support: Support): boolean => support === 'some' || support === 'none';

function admitToQueue(
  owner: string,
  size: number,
  active: ActiveCalls,
  { maxQueue, ownerQueue, maxBytes = Infinity, ownerBytes = Infinity }: QueueBounds,
): void {
  if (active.size >= maxQueue) throw queueFull(`${active.size} calls wait already (FAAS_MAX_QUEUE)`);
  const own = active.ofOwner(owner);
  if (ownerQueue !== undefined && own >= ownerQueue(owner)) {
    const setting = owner === PUBLIC_OWNER ? 'half of FAAS_MAX_QUEUE' : 'FAAS_USER_QUEUE';
    throw queueFull(`${own} calls of ${owner} wait already (${setting})`);
  }
  if (active.bytes + size > maxBytes) {
    throw queueFull(`calls with ${active.bytes} bytes of parameters wait already (FAAS_QUEUE_MB)`);
  }
  const ownBytes = active.bytesOf(owner);
  if (ownBytes + size > ownerBytes) {
    throw queueFull(
      `calls of ${owner} with ${ownBytes} bytes of parameters wait already (FAAS_USER_QUEUE_MB)`,
    );
  }
}

/** The versions of calls that wait are in memory: their commands and environments may be long. */
function admitVersion(
  version: VersionRecord,
  { memory, version: used }: ActiveCalls,
  { memoryBytes = Infinity }: QueueBounds,
): void {
  const { id, owner } = version.spec;
  if (used(id) !== undefined) return;
  const bytes = memoryOf(version);
  if (
    memory.versions + bytes > memoryBytes ||
    memory.versionsOf(owner) + bytes > OWNERS_SHARE * memoryBytes
  ) {
    throw queueFull(
      'calls of too many versions wait already, with long commands or environments (FAAS_PARAMS_MEMORY_MB)',
    );
  }
}

const queueFull = (why: string): PanalError => new PanalError('QUEUE_FULL', why, { retryAfter: RETRY_AFTER });

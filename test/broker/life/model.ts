/**
 * A model of the life of one call number: the broker and its store, two workers, and the messages between them. What
 * `step` allows is what the real parts do at their interfaces, one durable write or one message at a time, with a crash
 * between any two. `explore.ts` looks at every state that there is.
 */

/** `IDENTITY.ATTEMPT.RUN`: which call of the number, which attempt of it, which run of the broker gave it out. */
export type Lease = string;

/** How a call that was told about may stand. */
export type Status = 'PENDING' | 'DONE' | 'CANCELLED' | 'DEAD';
export type Ending = 'DONE' | 'STOPPED' | 'LOST';

/**
 * What is under way. An outcome is not: it is said until it is acknowledged, so that one which is late is one that is
 * said late, and one which is lost is one that was not said.
 */
export type Message =
  | { type: 'hello'; worker: number; leases: readonly Lease[] }
  | { type: 'invoke' | 'cancel'; worker: number; lease: Lease };

/** What is on disk. */
export interface Stored {
  identity: number;
  status: Status;
  attempts: number;
  /** The attempt whose outcome it ended with. */
  by: Lease | null;
  putBackAt: number;
  cancelling: boolean;
}

/** The call as the broker has it in memory. */
export interface Live extends Stored {
  phase: 'waiting' | 'queued' | 'running' | 'settling';
  lease: Lease | null;
  worker: number | null;
  /** The attempt that began last in this run of the broker. */
  last: Lease | null;
}

export interface Broker {
  run: number;
  /** Which workers are joined. */
  joined: readonly [boolean, boolean];
  call: Live | null;
}

export interface Held {
  lease: Lease;
  state: 'running' | 'DONE' | 'STOPPED';
}

/** `null` while the process is dead. */
export type Worker = { joined: boolean; held: readonly Held[] } | null;

export interface World {
  store: Stored | null;
  broker: Broker | null;
  workers: readonly [Worker, Worker];
  messages: readonly Message[];
  /** What a client was told last of each call of the number. */
  told: readonly (Status | null)[];
  /** How often each was settled, and put back. */
  settled: readonly number[];
  putBacks: readonly number[];
  /** Faults made, and runs of the broker, so far. */
  faults: number;
  runs: number;
}

/** Rules that the model may be asked to break, to see that the invariants notice. */
export interface Weakness {
  /** A call is told of before it is stored. */
  tellsTooEarly?: boolean;
  /** An outcome of any attempt settles. */
  settlesAnyLease?: boolean;
  /** A lease is known by the number of its call alone. */
  claimsByNumber?: boolean;
  /** Every attempt but those that are too old may come back. */
  claimsOldOnes?: boolean;
  /** The outcome of an attempt that was given up is acknowledged, and lost. */
  forgetsGivenUp?: boolean;
  /** A call that was put back counts its attempts anew. */
  countsAnew?: boolean;
  /** An attempt that was stopped settles the call as cancelled, whoever stopped it. */
  believesStopped?: boolean;
}

export const MAX_ATTEMPTS = 2;
export const WORKERS = [0, 1] as const;

export const START: World = {
  store: null,
  broker: { run: 1, joined: [true, true], call: null },
  workers: [
    { joined: true, held: [] },
    { joined: true, held: [] },
  ],
  messages: [],
  told: [],
  settled: [],
  putBacks: [],
  faults: 0,
  runs: 1,
};

export function leaseOf({ identity, attempts }: Stored, run: number): Lease {
  return `${identity}.${attempts}.${run}`;
}

export function partsOf(lease: Lease): { identity: number; attempt: number } {
  const [identity = 0, attempt = 0] = lease.split('.').map(Number);
  return { identity, attempt };
}

/** `items` with `item` in the place of `index`. */
export function withAt<T>(items: readonly T[], index: number, item: T): T[] {
  const copy = [...items];
  copy[index] = item;
  return copy;
}

export function pair<T>(items: readonly [T, T], index: number, item: T): [T, T] {
  return index === 0 ? [item, items[1]] : [items[0], item];
}

/** What is stored of a call: nothing of what a broker knows only while it lives. */
export function storedOf({ identity, status, attempts, by, putBackAt, cancelling }: Stored): Stored {
  return { identity, status, attempts, by, putBackAt, cancelling };
}

import {
  leaseOf,
  MAX_ATTEMPTS,
  pair,
  partsOf,
  storedOf,
  withAt,
  type Broker,
  type Ending,
  type Lease,
  type Live,
  type Message,
  type Weakness,
  type World,
} from './model.js';

/** What the broker of the model does. Each gives the world after it. */

type Running = World & { broker: Broker };

const withCall = (world: Running, call: Live | null): Running => ({
  ...world,
  broker: { ...world.broker, call },
});

const say = (world: Running, message: Message): Running => ({
  ...world,
  messages: [...world.messages, message],
});

/** A client asks for a call. `awaited`: it hears of it only by its end, so that it may start before it is stored. */
export function accept(world: Running, awaited: boolean, weak: Weakness): Running {
  const identity = world.told.length;
  const call: Live = {
    identity,
    status: 'PENDING',
    attempts: 0,
    by: null,
    putBackAt: 0,
    cancelling: false,
    phase: awaited ? 'queued' : 'waiting',
    lease: null,
    worker: null,
    last: null,
  };
  const told = [...world.told, weak.tellsTooEarly === true && !awaited ? ('PENDING' as const) : null];
  const counted = { ...world, told, settled: [...world.settled, 0], putBacks: [...world.putBacks, 0] };
  return withCall(counted, call);
}

/** What is known of an unsettled call is written; whoever waits for that hears of it. */
export function write(world: Running, call: Live): Running {
  const told = withAt(world.told, call.identity, world.told[call.identity] ?? 'PENDING');
  return { ...world, store: storedOf(call), told };
}

export function queue(world: Running, call: Live): Running {
  if (call.cancelling) return withCall(world, { ...call, phase: 'settling', status: 'CANCELLED' });
  return withCall(world, { ...call, phase: 'queued' });
}

export function place(world: Running, call: Live, worker: number): Running {
  const begun: Live = { ...call, phase: 'running', attempts: call.attempts + 1, worker };
  const lease = leaseOf(begun, world.broker.run);
  return say(withCall(world, { ...begun, lease, last: lease }), { type: 'invoke', worker, lease });
}

/** The attempt is over: with an outcome, or `LOST` with its worker. */
export function endAttempt(
  world: Running,
  call: Live,
  lease: Lease,
  ending: Ending,
  weak: Weakness,
): Running {
  const over: Live = { ...call, lease: null, worker: null, by: lease };
  const settling = (status: Live['status']): Running =>
    withCall(world, { ...over, phase: 'settling', status });
  if (ending === 'DONE') return settling('DONE');
  if (ending === 'STOPPED' && (call.cancelling || weak.believesStopped === true))
    return settling('CANCELLED');
  if (call.attempts - call.putBackAt >= MAX_ATTEMPTS) return settling('DEAD');
  if (call.cancelling) return settling('CANCELLED');
  return withCall(world, { ...over, by: null, phase: 'waiting' });
}

export function hearOutcome(
  world: Running,
  worker: number,
  lease: Lease,
  ending: Ending,
  weak: Weakness,
): Running {
  const { call, joined } = world.broker;
  const current = call?.phase === 'running' && call.lease === lease && call.worker === worker;
  const taken = weak.settlesAnyLease === true ? call !== null && call.phase !== 'settling' : current;
  if (taken && call !== null) return endAttempt(world, call, lease, ending, weak);
  // What is being stored is acknowledged when it is.
  if (call?.phase === 'settling' && call.by === lease) return world;
  if (call !== null && weak.forgetsGivenUp !== true && isClaimable(call, lease, weak)) {
    const { attempt } = partsOf(lease);
    return endAttempt(world, { ...call, attempts: attempt, last: lease }, lease, ending, weak);
  }
  const state = world.workers[worker];
  if (joined[worker] !== true || state === null || state === undefined) return world;
  const held = state.held.filter((each) => each.lease !== lease);
  return { ...world, workers: pair(world.workers, worker, { ...state, held }) };
}

/** A worker joins, and says which attempts it has. */
export function hearHello(world: Running, worker: number, leases: readonly Lease[], weak: Weakness): Running {
  let next: Running = {
    ...world,
    broker: { ...world.broker, joined: pair(world.broker.joined, worker, true) },
  };
  const before = world.broker.call;
  for (const lease of leases) next = keep(next, worker, lease, weak);
  const forgotten =
    before?.phase === 'running' && before.worker === worker && !leases.includes(before.lease ?? '');
  if (forgotten && before.lease !== null) return endAttempt(next, before, before.lease, 'LOST', weak);
  return next;
}

function keep(world: Running, worker: number, lease: Lease, weak: Weakness): Running {
  const { call } = world.broker;
  if (call?.lease === lease && call.worker === worker) return world;
  if (call?.phase === 'settling' && call.by === lease) return world;
  if (call !== null && isClaimable(call, lease, weak)) {
    const { attempt } = partsOf(lease);
    return withCall(world, { ...call, phase: 'running', attempts: attempt, lease, worker, last: lease });
  }
  return say(world, { type: 'cancel', worker, lease });
}

/** Whether the call still waits for just this attempt. */
function isClaimable({ phase, identity, attempts, last }: Live, lease: Lease, weak: Weakness): boolean {
  const named = partsOf(lease);
  if (phase !== 'waiting' && phase !== 'queued') return false;
  if (weak.claimsByNumber !== true && named.identity !== identity) return false;
  if (weak.claimsOldOnes !== true && last !== null && last !== lease) return false;
  return named.attempt >= attempts;
}

/** The end of the call is on disk: its client hears of it. */
export function settle(world: Running, call: Live): Running {
  const { identity, status } = call;
  const stored = { ...storedOf(call), cancelling: false };
  const settled = withAt(world.settled, identity, (world.settled[identity] ?? 0) + 1);
  const told = withAt(world.told, identity, status);
  return withCall({ ...world, store: stored, settled, told }, null);
}

export function putBack(world: Running, weak: Weakness): Running {
  const { store } = world;
  if (store === null) return world;
  const attempts = weak.countsAnew === true ? 0 : store.attempts;
  const again = { ...store, status: 'PENDING' as const, by: null, attempts, putBackAt: attempts };
  const putBacks = withAt(world.putBacks, store.identity, 1);
  const told = withAt(world.told, store.identity, 'PENDING' as const);
  return withCall(
    { ...world, store: again, putBacks, told },
    { ...again, phase: 'waiting', lease: null, worker: null, last: null },
  );
}

/** A broker starts, and takes up what its store has. */
export function start(world: World): World {
  const { store, runs } = world;
  const call: Live | null =
    store?.status === 'PENDING'
      ? { ...store, phase: 'waiting', lease: null, worker: null, last: null }
      : null;
  return { ...world, runs: runs + 1, broker: { run: runs + 1, joined: [false, false], call } };
}

import {
  accept,
  hearHello,
  hearOutcome,
  endAttempt,
  place,
  putBack,
  queue,
  settle,
  start,
  write,
} from './broker-steps.js';
import { pair, WORKERS, type Broker, type Held, type Message, type Weakness, type World } from './model.js';

/** What may happen next, and what comes of it. */
export interface Step {
  name: string;
  world: World;
}

export interface Bounds {
  /** Crashes, cut connections and workers given up, in all. */
  faults: number;
  /** Calls that are accepted with the same number, one after the other: each but the last was lost before it was stored. */
  calls: number;
  /** Messages under way at once. */
  messages: number;
}

/** Everything that may happen in `world`. */
export function stepsOf(world: World, bounds: Bounds, weak: Weakness): Step[] {
  return [
    ...brokerSteps(world, bounds, weak),
    ...deliveries(world, weak),
    ...workerSteps(world, bounds, weak),
    ...(world.faults < bounds.faults ? faults(world, weak) : []),
    ...(world.broker === null ? [{ name: 'broker starts', world: start(world) }] : []),
  ];
}

function brokerSteps(world: World, { calls }: Bounds, weak: Weakness): Step[] {
  const { broker, store } = world;
  if (broker === null) return [];
  const running = { ...world, broker };
  const { call } = broker;
  if (call === null) {
    if (store === null && world.told.length < calls) {
      return [true, false].map((awaited) => ({
        name: awaited ? 'accept awaited' : 'accept',
        world: accept(running, awaited, weak),
      }));
    }
    const dead = store?.status === 'DEAD' && world.putBacks[store.identity] === 0;
    return dead ? [{ name: 'put back', world: putBack(running, weak) }] : [];
  }
  const steps: Step[] = [];
  const stored = store?.identity === call.identity;
  if (call.phase === 'settling') return [{ name: `settle ${call.status}`, world: settle(running, call) }];
  const isWritten = stored && store.attempts === call.attempts && store.cancelling === call.cancelling;
  if (!isWritten) steps.push({ name: 'write', world: write(running, call) });
  if (call.phase === 'waiting' && stored) steps.push({ name: 'queue', world: queue(running, call) });
  if (call.phase === 'queued') {
    for (const worker of WORKERS) {
      const idle = (world.workers[worker]?.held ?? []).every(({ state }) => state !== 'running');
      if (broker.joined[worker] && idle)
        steps.push({ name: `place ${worker}`, world: place(running, call, worker) });
    }
  }
  if (stored && !call.cancelling) steps.push({ name: 'cancel', world: cancel({ ...world, broker }) });
  return steps;
}

function cancel(world: World & { broker: Broker }): World {
  const { call } = world.broker;
  if (call === null) return world;
  const cancelling = { ...call, cancelling: true };
  if (call.phase !== 'running' || call.lease === null || call.worker === null) {
    return {
      ...world,
      broker: { ...world.broker, call: { ...cancelling, phase: 'settling', status: 'CANCELLED' } },
    };
  }
  const message: Message = { type: 'cancel', worker: call.worker, lease: call.lease };
  return { ...world, broker: { ...world.broker, call: cancelling }, messages: [...world.messages, message] };
}

function deliveries(world: World, weak: Weakness): Step[] {
  return world.messages.map((message, index) => {
    const rest = { ...world, messages: world.messages.filter((_, at) => at !== index) };
    return { name: `deliver ${message.type} ${message.worker}`, world: deliver(rest, message, weak) };
  });
}

function deliver(world: World, message: Message, weak: Weakness): World {
  const { worker } = message;
  const state = world.workers[worker] ?? null;
  if (message.type === 'hello') {
    const { broker } = world;
    if (broker === null) return world;
    const joined = hearHello({ ...world, broker }, worker, message.leases, weak);
    return state === null
      ? joined
      : { ...joined, workers: pair(joined.workers, worker, { ...state, joined: true }) };
  }
  if (state === null) return world;
  const { lease } = message;
  const has = state.held.some((each) => each.lease === lease);
  const held = state.held.map((each) => (each.lease === lease && isRunning(each) ? stopped(each) : each));
  if (message.type === 'cancel')
    return { ...world, workers: pair(world.workers, worker, { ...state, held }) };
  const more = has ? state.held : [...state.held, { lease, state: 'running' as const }];
  return { ...world, workers: pair(world.workers, worker, { ...state, held: more }) };
}

const isRunning = ({ state }: Held): boolean => state === 'running';
const stopped = ({ lease }: Held): Held => ({ lease, state: 'STOPPED' });

function workerSteps(world: World, { messages }: Bounds, weak: Weakness): Step[] {
  const { broker } = world;
  return WORKERS.flatMap((worker) => {
    const state = world.workers[worker];
    if (state === null) return [{ name: `worker ${worker} starts`, world: withWorker(world, worker, []) }];
    const steps: Step[] = [];
    for (const { lease, state: ending } of state.held) {
      if (ending === 'running') {
        const held = state.held.map((each) =>
          each.lease === lease ? { lease, state: 'DONE' as const } : each,
        );
        const done = { ...world, workers: pair(world.workers, worker, { ...state, held }) };
        steps.push({ name: `end ${worker}`, world: done });
      } else if (broker !== null) {
        // Also before it is joined: a channel may be back before the worker knows that it was away.
        const said = hearOutcome({ ...world, broker }, worker, lease, ending, weak);
        steps.push({ name: `report ${worker}`, world: said });
      }
    }
    const greets = world.messages.some((message) => message.type === 'hello' && message.worker === worker);
    if (world.messages.length < messages && !state.joined && !greets && broker !== null) {
      const hello: Message = { type: 'hello', worker, leases: state.held.map(({ lease }) => lease) };
      steps.push({ name: `greet ${worker}`, world: { ...world, messages: [...world.messages, hello] } });
    }
    return steps;
  });
}

function withWorker(world: World, worker: number, held: readonly Held[]): World {
  return { ...world, workers: pair(world.workers, worker, { joined: false, held }) };
}

function faults(world: World, weak: Weakness): Step[] {
  const faulty = { ...world, faults: world.faults + 1 };
  const steps: Step[] = [];
  if (world.broker !== null) {
    const [first, second] = faulty.workers;
    const workers = [first && { ...first, joined: false }, second && { ...second, joined: false }] as const;
    steps.push({ name: 'broker dies', world: { ...faulty, broker: null, workers, messages: [] } });
  }
  for (const worker of WORKERS) {
    const state = world.workers[worker];
    if (state === null) continue;
    const others = world.messages.filter((message) => message.worker !== worker);
    const cut = { ...faulty, messages: others };
    steps.push(
      { name: `worker ${worker} dies`, world: { ...cut, workers: pair(cut.workers, worker, null) } },
      { name: `cut ${worker}`, world: withWorker(cut, worker, state.held) },
    );
  }
  return [...steps, ...losses(faulty, weak)];
}

/** The broker takes a worker for lost, rightly or not. */
function losses(world: World, weak: Weakness): Step[] {
  const { broker } = world;
  if (broker === null) return [];
  return WORKERS.filter((worker) => broker.joined[worker]).map((worker) => {
    const { call } = broker;
    const left = { ...world, broker: { ...broker, joined: pair(broker.joined, worker, false) } };
    const has = call?.phase === 'running' && call.worker === worker && call.lease !== null;
    // A worker that is not known is asked who it is, and greets.
    const state = left.workers[worker];
    const asked = state === null ? left : withWorker(left, worker, state.held);
    const lost = { ...asked, broker: left.broker };
    return {
      name: `lose ${worker}`,
      world: has && call.lease !== null ? endAttempt(lost, call, call.lease, 'LOST', weak) : lost,
    };
  });
}

import { MAX_ATTEMPTS, partsOf, START, storedOf, type Stored, type Weakness, type World } from './model.js';
import { stepsOf, type Bounds, type Step } from './steps.js';

/** A state that breaks an invariant, and the way there. */
export interface Violation {
  invariant: string;
  path: string[];
  world: World;
}

export interface Explored {
  states: number;
  /** What an observer may see, see `seenOf`. */
  seen: ReadonlySet<string>;
  steps: number;
  violation: Violation | undefined;
  /** Ways to states from which, with no further fault, the call can never end. */
  stuck: string[][];
}

interface Node {
  world: World;
  from: string | undefined;
  by: string;
  next: string[];
}

/** Every state that can be reached within `bounds`; it stops at the first that breaks an invariant. */
export function explore(bounds: Bounds, weak: Weakness = {}): Explored {
  const first = keyOf(START);
  const nodes = new Map<string, Node>([[first, { world: START, from: undefined, by: 'start', next: [] }]]);
  let steps = 0;
  for (const [key, node] of nodes) {
    for (const { name, world } of stepsOf(node.world, bounds, weak)) {
      steps++;
      const to = keyOf(world);
      node.next.push(to);
      const invariant = brokenBy(node.world, { name, world });
      if (invariant !== undefined) {
        const violation = { invariant, path: [...pathTo(nodes, key), name], world };
        return { states: nodes.size, seen: new Set(), steps, violation, stuck: [] };
      }
      if (!nodes.has(to)) nodes.set(to, { world, from: key, by: name, next: [] });
    }
  }
  const seen = new Set([...nodes.values()].map(({ world }) => seenOf(world)));
  return { states: nodes.size, seen, steps, violation: undefined, stuck: stuckIn(nodes) };
}

/** What one sees of a world from outside: whether the broker is up, what is stored, and what it says of the call. */
export function seenOf({ broker, store }: World): string {
  const live = broker?.call ?? null;
  const said = live === null ? store : { ...live, status: live.phase === 'running' ? 'RUNNING' : 'PENDING' };
  return observation({ up: broker !== null, stored: store, said: broker === null ? null : said });
}

interface Observed {
  up: boolean;
  stored: { status: string; attempts: number } | null;
  said: { status: string; attempts: number } | null;
}

export function observation({ up, stored, said }: Observed): string {
  const text = (call: Observed['said']): string => (call === null ? '-' : `${call.status} ${call.attempts}`);
  return `${up ? 'up' : 'down'}, stored ${text(stored)}, said ${text(said)}`;
}

/** The invariants of `docs/guarantees.md`, as far as they concern the life of a call. */
function brokenBy(before: World, { world }: Step): string | undefined {
  const { store, broker, told } = world;
  for (const [identity, status] of told.entries()) {
    if (status === null) continue;
    if (store?.identity !== identity) return 'accepted means stored';
    if (status !== 'PENDING' && store.status !== status) return 'told means stored';
  }
  for (const [identity, count] of world.settled.entries()) {
    if (count > 1 + (world.putBacks[identity] ?? 0)) return 'settles once';
  }
  const isOver = before.store !== null && before.store.status !== 'PENDING';
  if (isOver && store?.status !== before.store?.status && before.store?.status !== 'DEAD')
    return 'settled stays';
  if (store !== null && store.status === 'DONE' && store.by !== null) {
    if (partsOf(store.by).identity !== store.identity) return 'no result of another call';
    if (partsOf(store.by).attempt !== store.attempts) return 'the current attempt settles';
  }
  if (
    store?.status === 'CANCELLED' &&
    before.broker?.call?.cancelling !== true &&
    before.store?.status === 'PENDING'
  ) {
    return 'cancelled only where asked for';
  }
  const call = broker?.call ?? null;
  // A broker that dies may cost a call one attempt more: that the last one began was on disk, how it ended was not.
  const allowed = MAX_ATTEMPTS + world.runs - 1;
  if (call !== null && call.attempts - call.putBackAt > allowed) return 'no more attempts than allowed';
  if (call === null && broker !== null && store?.status === 'PENDING')
    return 'pending means known to the broker';
  return twoOfOneName(world) ? 'no two attempts of one name' : undefined;
}

/** Whether two workers have an attempt of the same name: then either's outcome would count. */
function twoOfOneName({ workers: [first, second] }: World): boolean {
  const leases = new Set(first?.held.map(({ lease }) => lease));
  return second?.held.some(({ lease }) => leases.has(lease)) ?? false;
}

function pathTo(nodes: ReadonlyMap<string, Node>, key: string): string[] {
  const path: string[] = [];
  for (let at: string | undefined = key; at !== undefined; at = nodes.get(at)?.from) {
    path.unshift(nodes.get(at)?.by ?? '');
  }
  return path;
}

/** States with a call from which no way without a fault leads to its end. */
function stuckIn(nodes: ReadonlyMap<string, Node>): string[][] {
  const back = new Map<string, string[]>();
  for (const [key, { world, next }] of nodes) {
    for (const to of next) {
      if ((nodes.get(to)?.world.faults ?? 0) > world.faults) continue;
      const known = back.get(to);
      if (known === undefined) back.set(to, [key]);
      else known.push(key);
    }
  }
  const ended = [...nodes].filter(([, { world }]) => isEnded(world)).map(([key]) => key);
  const reached = new Set(ended);
  for (const key of reached) for (const from of back.get(key) ?? []) reached.add(from);
  const stuck = [...nodes.entries()].filter(
    ([key, { world }]) => world.told.some((each) => each !== null) && !reached.has(key),
  );
  return stuck.map(([key]) => pathTo(nodes, key));
}

function isEnded({ store }: World): boolean {
  return store !== null && store.status !== 'PENDING';
}

/** The same for states that differ only in the order of their messages, or in which worker is which. */
function keyOf(world: World): string {
  const [first, second] = [textOf(world, [0, 1]), textOf(world, [1, 0])];
  return first < second ? first : second;
}

const valuesOf = (call: Stored): unknown[] => Object.values<unknown>({ ...call });

/** @param names what each worker is called */
function textOf(
  { store, broker, workers, messages, ...rest }: World,
  names: readonly [number, number],
): string {
  const nameOf = (worker: number | null): number | null =>
    worker === null ? null : (names[worker] ?? worker);
  const byName = <T>(items: readonly [T, T]): readonly T[] => (names[0] === 0 ? items : [items[1], items[0]]);
  const call = broker?.call ?? null;
  const live = call && [...valuesOf(storedOf(call)), call.phase, call.lease, nameOf(call.worker), call.last];
  return JSON.stringify([
    store && valuesOf(store),
    broker && [broker.run, byName(broker.joined), live],
    byName(workers).map(
      (state) => state && [state.joined, state.held.map((each) => [each.lease, each.state]).sort()],
    ),
    messages.map((each) => JSON.stringify({ ...each, worker: nameOf(each.worker) })).sort(),
    Object.values(rest),
  ]);
}

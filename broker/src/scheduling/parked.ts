import { Heap } from './heap.js';
import { smaller, type JobQueue, type Lane, type Turn } from './job-queue.js';
import { RoundRobin } from './round-robin.js';

/** The smaller function is first, and of two that are as large the one that was parked first. */
const smallestFirst = (a: Lane, b: Lane): boolean => {
  const [first, second] = [a.parked.first, b.parked.first];
  return first !== undefined && second !== undefined && smaller(first, second);
};

/** Lanes with parked functions, of owners that run nothing and of others, which have to leave something to those. */
type ByOwner = Record<'idle' | 'busy', Heap<Lane>>;

/**
 * Functions that wait for memory, out of the turns until a worker has enough of it. To find the smallest is O(1), to
 * park one or take it out O(log n).
 */
export class Parked {
  readonly #anywhere: ByOwner = { idle: new Heap(smallestFirst), busy: new Heap(smallestFirst) };
  readonly #onEngines: ByOwner = { idle: new Heap(smallestFirst), busy: new Heap(smallestFirst) };
  /** In the order in which the first of their calls that wait was passed over. */
  readonly #passed = new RoundRobin<Turn<JobQueue>>();
  #count = 0;

  /** Whether any function was passed over and waits still. */
  get empty(): boolean {
    return this.#passed.size === 0;
  }

  /** The one that was passed over first. */
  get oldest(): JobQueue | undefined {
    return this.#passed.first?.of;
  }

  /** @param begun how many calls have begun so far */
  park(queue: JobQueue, begun: number): void {
    queue.parkedAs = ++this.#count;
    queue.passedSince ??= begun;
    this.#passed.join(queue.passed);
    queue.lane.functions.leave(queue);
    queue.lane.parked.put(queue);
    this.rank(queue.lane);
  }

  /** The function takes turns again. */
  unpark(queue: JobQueue): void {
    queue.lane.parked.delete(queue);
    this.rank(queue.lane);
  }

  /** One of its calls has begun, or none waits any more: it was not passed over. */
  forget(queue: JobQueue): void {
    if (queue.passedSince === undefined) return;
    queue.passedSince = undefined;
    this.#passed.leave(queue.passed);
    this.unpark(queue);
  }

  /** Puts it behind all others that were passed over. */
  putOff(queue: JobQueue, begun: number): void {
    queue.passedSince = begun;
    this.#passed.leave(queue.passed);
    this.#passed.join(queue.passed);
  }

  /** Puts a lane where it belongs now. */
  rank(lane: Lane): void {
    const { idle, busy } = lane.needsEngine ? this.#onEngines : this.#anywhere;
    const [own, other] = lane.owner.running === 0 ? [idle, busy] : [busy, idle];
    other.delete(lane);
    if (lane.mayRun && lane.parked.size > 0) own.put(lane);
    else own.delete(lane);
  }

  /** The smallest parked function of those that need an engine or do not, of owners that run something or do not. */
  smallest(needsEngine: boolean, owners: 'idle' | 'busy'): JobQueue | undefined {
    return (needsEngine ? this.#onEngines : this.#anywhere)[owners].first?.parked.first;
  }
}

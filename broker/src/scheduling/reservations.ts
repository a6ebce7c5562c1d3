import type { JobQueue } from './job-queue.js';
import type { Parked } from './parked.js';
import type { Seats, WorkerSeat } from './seats.js';
import type { Spare, WorkerGroup } from './worker-group.js';

interface Reservation {
  readonly queue: JobQueue;
  /** By when the function had been passed over. */
  readonly passedSince: number;
  readonly seat: WorkerSeat;
  readonly group: WorkerGroup<WorkerSeat>;
}

/**
 * The worker that is kept for the function that was passed over for longest, until its call fits: at the latest when the
 * calls have ended that ran there before. Others run beside it in what it leaves. Backfilling with one reservation, as
 * EASY (Lifka, JSSPP 1995) does it.
 */
export class Reservations {
  readonly #seats: Seats;
  readonly #parked: Parked;
  #reservation: Reservation | undefined;
  /** How many calls had begun when a worker was reserved last. */
  #madeAt = -Infinity;

  constructor(seats: Seats, parked: Parked) {
    this.#seats = seats;
    this.#parked = parked;
  }

  /**
   * The function whose turn it is on the reserved worker, if its call fits there now.
   * @param begun how many calls have begun so far
   */
  next(begun: number, spare: Spare | undefined): { queue: JobQueue; worker: WorkerSeat } | undefined {
    if (this.#reservation === undefined && this.#parked.empty) return undefined;
    if (this.#reservation !== undefined && !stands(this.#reservation)) this.#end(this.#reservation);
    const reservation = (this.#reservation ??= this.#make(begun));
    if (reservation === undefined) return undefined;
    const { queue, seat, group } = reservation;
    const fits = seat.idleSlots.length > 0 && seat.freeMb >= queue.memoryMb;
    if (!fits || !group.leaves(queue.lane.owner.running > 0 ? spare : undefined, seat)) return undefined;
    this.#end(reservation);
    return { queue, worker: seat };
  }

  /** Reserves a worker once as many calls began since as there are mini-workers. */
  #make(begun: number): Reservation | undefined {
    const queue = this.#parked.oldest;
    if (queue?.passedSince === undefined) return undefined;
    // To look for a worker costs as much as there are workers: no more often than as many calls begin.
    const since = Math.max(queue.passedSince, this.#madeAt);
    if (begun < since + Math.max(this.#seats.slots, this.#seats.size)) return undefined;
    this.#madeAt = begun;
    const found = this.#seats.largestFor(queue);
    if (found === undefined || !queue.lane.mayRun) {
      this.#parked.putOff(queue, begun);
      return undefined;
    }
    found.seat.hold = { memoryMb: queue.memoryMb, beside: new Set(), besideMb: 0 };
    found.group.changed(found.seat);
    return { queue, passedSince: queue.passedSince, ...found };
  }

  #end({ seat, group }: Reservation): void {
    seat.hold = undefined;
    group.changed(seat);
    this.#reservation = undefined;
  }
}

/** Whether the function still waits for its call to begin, and may run it. */
function stands({ queue, passedSince, seat }: Reservation): boolean {
  return queue.passedSince === passedSince && queue.runnable && queue.lane.mayRun && !seat.draining;
}

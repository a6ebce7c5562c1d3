import { RoundRobin, type Linked } from './round-robin.js';
import { NONE, Tournament } from './tournament.js';

/** Part of a worker that is kept for one large call: others may take what they leave for it. */
export interface Hold {
  readonly memoryMb: number;
  /** The calls that began since, which may run beside it, and their memory. */
  readonly beside: Set<number>;
  besideMb: number;
}

/** What the scheduler must know of a worker to place a call on it. */
export interface Seat<S> extends Linked<S> {
  readonly slots: number;
  /** Memory that its calls may take together, in MiB. */
  readonly memoryMb: number;
  /** What is left of it. */
  freeMb: number;
  /** Mini-workers that offered themselves, last in first out: the last one's memory is the warmest. */
  readonly idleSlots: number[];
  hold: Hold | undefined;
  /** Idle mini-workers that any call may take, as the group last noted them. */
  open: number;
  /** Memory that a call on one of these may take; `NONE` if there is none. */
  openMb: number;
  /** Its place among the group; `NONE` before it has one, and once it drains. */
  place: number;
}

/** What an owner that runs calls already has to leave to others, in each group. */
export interface Spare {
  /** Idle mini-workers. */
  readonly slots: number;
  /** Memory that a call on one of these can have, in MiB. */
  readonly memoryMb: number;
}

/**
 * Workers of one kind, by how many idle mini-workers they have, so that the least loaded is found without a search, and
 * by their free memory, so that a worker that can hold a call is found if there is one.
 */
export class WorkerGroup<S extends Seat<S>> {
  readonly #seats = new Set<S>();
  /** At index n the workers with n open mini-workers. */
  readonly #byOpen: RoundRobin<S>[] = [];
  readonly #byMemory = new Tournament<S>();
  #most = 0;
  #open = 0;
  #slots = 0;
  #largestMb = 0;

  /** Idle mini-workers that any call may take. */
  get open(): number {
    return this.#open;
  }

  /** How many of these the least loaded worker has. */
  get mostOpen(): number {
    return this.#most;
  }

  /** Memory of the largest worker, in MiB; 0 if there is none. */
  get largestMb(): number {
    return this.#largestMb;
  }

  add(seat: S): void {
    this.#seats.add(seat);
    seat.place = this.#byMemory.add(seat);
    this.#slots += seat.slots;
    this.#largestMb = Math.max(this.#largestMb, seat.memoryMb);
  }

  remove(seat: S): void {
    if (!this.#seats.delete(seat)) return;
    this.#note(seat, 0, NONE);
    this.#byMemory.remove(seat.place);
    seat.place = NONE;
    this.#slots -= seat.slots;
    this.#largestMb = Math.max(0, ...Array.from(this.#seats, ({ memoryMb }) => memoryMb));
  }

  /** Notes what has changed of a worker. */
  changed(seat: S): void {
    if (seat.place === NONE) return;
    const { hold, idleSlots, slots, memoryMb, freeMb } = seat;
    if (hold === undefined) return this.#note(seat, idleSlots.length, freeMb);
    const open = Math.min(idleSlots.length, slots - 1 - hold.beside.size);
    this.#note(seat, Math.max(0, open), Math.min(freeMb, memoryMb - hold.memoryMb - hold.besideMb));
  }

  /** Whether `spare` would still be there after a call has taken an idle mini-worker which a hold kept from others. */
  leaves(spare: Spare | undefined, { idleSlots, open }: S): boolean {
    return spare === undefined || this.#open - open + idleSlots.length > this.#spareSlots(spare);
  }

  /** Most memory, in MiB, with which a call can begin now; `NONE` if none can. @param spare what it has to leave */
  roomFor(spare: Spare | undefined): number {
    const best = this.#byMemory.best;
    if (spare === undefined || this.#spareSlots(spare) === 0) return best;
    const spareMb = this.#spareMb(spare);
    const seat = this.#byMemory.winner();
    if (seat === undefined || this.#open <= this.#spareSlots(spare) || best < spareMb) return NONE;
    const second = this.#byMemory.bestBeside(seat.place);
    if (second >= spareMb) return best;
    return Math.max(second, seat.open > 1 ? best - spareMb : NONE);
  }

  /** Whether a call can begin on this worker now. */
  mayTake(seat: S, memoryMb: number, spare: Spare | undefined): boolean {
    if (seat.open === 0 || seat.openMb < memoryMb) return false;
    if (spare === undefined || this.#spareSlots(spare) === 0) return true;
    if (this.#open <= this.#spareSlots(spare)) return false;
    const spareMb = this.#spareMb(spare);
    if (seat.open > 1 && seat.openMb - memoryMb >= spareMb) return true;
    return this.#byMemory.bestBeside(seat.place) >= spareMb;
  }

  /** Where a call with so much memory can begin: on the least loaded worker, else where most memory is free. */
  placeFor(memoryMb: number, spare: Spare | undefined): S | undefined {
    const idlest = this.#byOpen[this.#most]?.next();
    if (idlest !== undefined && this.mayTake(idlest, memoryMb, spare)) return idlest;
    const roomiest = this.#byMemory.winner();
    if (roomiest === undefined || this.mayTake(roomiest, memoryMb, spare)) return roomiest;
    const second = this.#byMemory.winnerBeside(roomiest.place);
    return second !== undefined && this.mayTake(second, memoryMb, spare) ? second : undefined;
  }

  /** The worker with most free memory of those that can hold a call of so much when they are idle. O(n). */
  holderFor(memoryMb: number): S | undefined {
    let best: S | undefined;
    for (const seat of this.#seats) {
      if (seat.memoryMb >= memoryMb && (best === undefined || seat.freeMb > best.freeMb)) best = seat;
    }
    return best;
  }

  /** A group with a single mini-worker cannot spare it. */
  #spareSlots({ slots }: Spare): number {
    return Math.max(0, Math.min(slots, this.#slots - 1));
  }

  /** No more than half of a worker, or a small one could never be used. */
  #spareMb({ memoryMb }: Spare): number {
    return Math.min(memoryMb, this.#largestMb / 2);
  }

  #note(seat: S, open: number, freeMb: number): void {
    const openMb = open === 0 ? NONE : freeMb;
    if (openMb !== seat.openMb) this.#byMemory.set(seat.place, (seat.openMb = openMb));
    if (open === seat.open) return;
    this.#byOpen[seat.open]?.leave(seat);
    this.#open += open - seat.open;
    seat.open = open;
    if (open > 0) {
      while (this.#byOpen.length <= open) this.#byOpen.push(new RoundRobin());
      this.#byOpen[open]?.join(seat);
      this.#most = Math.max(this.#most, open);
    }
    while (this.#most > 0 && this.#byOpen[this.#most]?.size === 0) this.#most--;
  }
}

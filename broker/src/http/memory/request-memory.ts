import { BodyMemory } from './body-memory.js';
import { ByteBudget } from './byte-budget.js';
import { OwnerPlaces } from './owner-places.js';
import { ReadingTurns } from './reading-turns.js';
import { UnreadAnswers } from './unread-answers.js';

/** Each is unlimited by default. One owner may have half of it. */
export interface RequestLimits {
  /** Bytes of request bodies that come in at once. */
  bodies?: number | undefined;
  /** Bytes of answers and events that clients have not taken. */
  answers?: number | undefined;
  /** Clients that wait for calls, or follow them. */
  waiting?: number | undefined;
  uploads?: number | undefined;
}

/** In ms: for how long a client may take nothing of an answer that is there. */
const PATIENCE_MS = 60_000;

/** The memory that requests hold together, and what bounds it. */
export class RequestMemory {
  readonly bodies: BodyMemory;
  readonly answers: ByteBudget;
  readonly unread: UnreadAnswers;
  readonly waiting: OwnerPlaces;
  readonly uploads: OwnerPlaces;
  readonly readings = new ReadingTurns();

  constructor({ bodies, answers = Infinity, waiting = Infinity, uploads = Infinity }: RequestLimits = {}) {
    this.bodies = new BodyMemory(bodies);
    this.answers = new ByteBudget(answers);
    this.unread = new UnreadAnswers(PATIENCE_MS, this.answers);
    this.waiting = new OwnerPlaces(waiting, 'too many clients wait for calls or follow them (FAAS_WAITING)');
    this.uploads = new OwnerPlaces(uploads, 'too many uploads are under way (FAAS_UPLOADS)');
  }
}

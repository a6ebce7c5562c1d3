import { BodyMemory } from './body-memory.js';
import { ByteBudget } from './byte-budget.js';
import { OwnerPlaces } from './owner-places.js';
import { ReadingTurns } from './reading-turns.js';
import { UnreadAnswers } from './unread-answers.js';

/** Each is unlimited by default. One owner may have half of it, or all if there is nobody to share with. */
export interface RequestLimits {
  /** Bytes of request bodies that come in at once. */
  bodies?: number | undefined;
  /** Bytes of answers and events that clients have not taken. */
  answers?: number | undefined;
  /** Clients that wait for calls, or follow them. */
  waiting?: number | undefined;
  uploads?: number | undefined;
  /** Whether anybody has registered: `true` by default. Until then there is one owner. */
  hasUsers?: () => boolean;
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

  constructor({
    bodies = Infinity,
    answers = Infinity,
    waiting = Infinity,
    uploads = Infinity,
    hasUsers = () => true,
  }: RequestLimits = {}) {
    const shareOf = (most: number) => (): number => (hasUsers() ? most / 2 : most);
    this.bodies = new BodyMemory(bodies, shareOf(bodies));
    this.answers = new ByteBudget(answers, shareOf(answers));
    this.unread = new UnreadAnswers(PATIENCE_MS, this.answers);
    const tooMany = 'too many clients wait for calls or follow them (FAAS_WAITING)';
    this.waiting = new OwnerPlaces(waiting, tooMany, shareOf(waiting));
    const uploading = 'too many uploads are under way (FAAS_UPLOADS)';
    this.uploads = new OwnerPlaces(uploads, uploading, shareOf(uploads));
  }
}

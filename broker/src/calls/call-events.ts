import { setTimeout as pause } from 'node:timers/promises';
import { eventsOf, type CallEvent, type CallRecord, type Store } from '@panal/db';
import { isSettled } from '@panal/protocol';
import pLimit, { type LimitFunction } from 'p-limit';
import type { Logger } from 'pino';

/** Events that one subscriber is told at once. */
const AT_ONCE = 16;
/** Before an event is delivered again, in ms: at first, and at most. */
const RETRY_MS = 1000;
const MAX_RETRY_MS = 60_000;

/** Wants to hear of calls that settle. */
export interface CallSubscriber {
  /** Names it in the store, over all runs of the broker. */
  name: string;
  /** Whether it has to hear of this call. Quick, and does not throw. */
  wants(call: CallRecord): boolean;
  /**
   * Takes a settled call, whole. Once this resolves the event is forgotten; if it rejects, or the broker dies, the event is
   * delivered again. So the same end of a call may come more than once.
   * @param signal aborts if the broker stops
   */
  deliver(call: CallRecord, signal: AbortSignal): Promise<void>;
}

export interface CallEventsOptions {
  store: Pick<Store, 'calls' | 'events'>;
  subscribers: readonly CallSubscriber[];
  log: Logger;
}

/** A subscriber, and its turns. */
interface Subscription {
  subscriber: CallSubscriber;
  limit: LimitFunction;
}

const NOBODY: readonly string[] = [];

/**
 * Tells subscribers which calls have settled, at least once (transactional outbox): the batch that settles a call also
 * stores its events, and an event is forgotten once it is delivered. Without subscribers nothing is stored.
 */
export class CallEvents {
  readonly #options: CallEventsOptions;
  readonly #subscriptions: ReadonlyMap<string, Subscription>;
  readonly #stopping = new AbortController();
  readonly #deliveries = new Set<Promise<void>>();

  constructor(options: CallEventsOptions) {
    this.#options = options;
    this.#subscriptions = new Map(
      options.subscribers.map((subscriber) => [subscriber.name, { subscriber, limit: pLimit(AT_ONCE) }]),
    );
  }

  /** Delivers what an earlier run left. An event whose subscriber is not there now stays. */
  async recover(): Promise<void> {
    if (this.#subscriptions.size === 0) return;
    for await (const event of this.#options.store.events.pendingEvents()) this.#begin(event);
  }

  /** Stores a settled call, and begins to tell the subscribers that want it. @throws PanalError STORE_UNAVAILABLE */
  async settle(call: CallRecord): Promise<void> {
    const subscribers = this.#wanting(call);
    await this.#options.store.calls.settleCall(call, subscribers);
    if (subscribers.length > 0) for (const event of eventsOf(call, subscribers)) this.#begin(event);
  }

  /** Resolves once nothing is being delivered. What was not delivered is left to the next run. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#deliveries);
  }

  #wanting(call: CallRecord): readonly string[] {
    if (this.#subscriptions.size === 0) return NOBODY;
    return [...this.#subscriptions.values()]
      .filter(({ subscriber }) => subscriber.wants(call))
      .map(({ subscriber }) => subscriber.name);
  }

  #begin(event: CallEvent): void {
    const subscription = this.#subscriptions.get(event.subscriber);
    if (subscription === undefined || this.#stopping.signal.aborted) return;
    const delivery: Promise<void> = this.#deliver(event, subscription).finally(() =>
      this.#deliveries.delete(delivery),
    );
    this.#deliveries.add(delivery);
  }

  /** Tries until it is delivered, or the broker stops. Never rejects. */
  async #deliver(event: CallEvent, { subscriber, limit }: Subscription): Promise<void> {
    const { signal } = this.#stopping;
    for (let wait = RETRY_MS; !signal.aborted; wait = Math.min(2 * wait, MAX_RETRY_MS)) {
      try {
        await limit(() => this.#tell(event, subscriber));
        return;
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        const { callNum } = event;
        this.#options.log.warn(
          { err: error, callNum, subscriber: subscriber.name },
          'an event was not delivered',
        );
      }
      await pause(wait, undefined, { signal }).catch(() => undefined);
    }
  }

  async #tell(event: CallEvent, subscriber: CallSubscriber): Promise<void> {
    const { signal } = this.#stopping;
    signal.throwIfAborted();
    const { calls, events } = this.#options.store;
    const call = await calls.getCall(event.owner, event.callNum);
    // If it is kept no longer, nothing is left to tell; if it was put back, its next end has an event of its own.
    if (call !== undefined && isSettled(call.status)) await subscriber.deliver(call, signal);
    await events.forgetEvent(event);
  }
}

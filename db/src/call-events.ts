import type { Write } from './log/log.js';
import { keyOf, under } from './keys.js';
import type { Medium } from './medium.js';
import { decodeValue, encodeJson, jsonDecoder } from './record-codec.js';
import type { CallEvent, CallRecord } from './records.js';
import { callEventSchema } from './schemas.js';
import type { EventStore } from './store.js';

/** Events read at once. */
const PAGE = 1000;

/** The outbox rows that say to these subscribers that a call has settled. */
export function writesOfEvents(call: CallRecord, subscribers: readonly string[]): Write[] {
  return eventsOf(call, subscribers).map((event) => [keyOfEvent(event), encodeJson(event)]);
}

/** The events of a settled call: one for each subscriber. */
export function eventsOf(
  { owner, callNum, settledAt = 0 }: CallRecord,
  subscribers: readonly string[],
): CallEvent[] {
  return subscribers.map((subscriber) => ({ owner, callNum, settledAt, subscriber }));
}

/** The outbox of a `LevelStore`. */
export class LevelEvents implements EventStore {
  readonly #medium: Medium;

  constructor(medium: Medium) {
    this.#medium = medium;
  }

  async *pendingEvents(): AsyncGenerator<CallEvent> {
    const decoder = jsonDecoder(callEventSchema);
    const { gte, lt } = under(keyOf('call-event'));
    let range: { gte: string; lt: string } | { gt: string; lt: string } = { gte, lt };
    for (;;) {
      const page = await this.#medium.read((database) => database.iterator({ ...range, limit: PAGE }).all());
      for (const [key, value] of page) yield decodeValue(key, value, decoder);
      const last = page.at(-1);
      if (last === undefined) return;
      range = { gt: last[0], lt };
    }
  }

  async forgetEvent(event: CallEvent): Promise<void> {
    await this.#medium.commit([[keyOfEvent(event), undefined]], 'later');
  }
}

/** With its time, so that an event of a call that was put back, and settled again, is another one. */
function keyOfEvent({ owner, callNum, settledAt, subscriber }: CallEvent): string {
  return keyOf('call-event', owner, callNum, settledAt, subscriber);
}

import { CallRemoval, type Bounds } from './call-removal.js';
import { callUsage } from './call-usage.js';
import { keyOf, secondOf, under } from './keys.js';
import type { Medium } from './medium.js';
import { OldestFirst } from './oldest-first.js';
import type { CallRetention } from './store.js';

/** Runs a step under the lock of the owner: no call of this owner is put back, and the owner is not deleted, meanwhile. */
type Alone = (owner: string, step: () => Promise<number>) => Promise<number>;

interface Removal {
  medium: Medium;
  retention: CallRetention;
  /** Looks at calls up to this number, all of which are stored. */
  through: number;
  alone: Alone;
}

/** Removes settled calls, page by page, and gives how many after each. */
export async function* removeCalls(removal: Removal): AsyncGenerator<number, void, undefined> {
  yield* removeOfEach(removal);
  yield* removeOfAll(removal);
}

/** Removes the calls of each owner that are too old, too many or too large. */
async function* removeOfEach({
  medium,
  retention,
  through,
  alone,
}: Removal): AsyncGenerator<number, void, undefined> {
  const { settledSince, newest, ownerBytes } = retention;
  if ([settledSince, newest, ownerBytes].every((bound) => bound === undefined)) return;
  for await (const owner of callOwners(medium)) {
    const calls = new CallRemoval(medium, owner, through);
    const step = async (): Promise<number> => calls.step(await boundsOf(medium, owner, retention));
    for (let removed; (removed = await alone(owner, step)) > 0;) yield removed;
  }
}

async function boundsOf(medium: Medium, owner: string, retention: CallRetention): Promise<Bounds> {
  const { settledSince, newest = Infinity, ownerBytes = Infinity } = retention;
  const { calls, bytes } = await callUsage(medium, owner);
  return { settledSince, excess: { calls: calls - newest, bytes: bytes - ownerBytes } };
}

/** Removes the oldest calls of any owner while all calls together exceed `bytes`. */
async function* removeOfAll({
  medium,
  retention: { bytes: most = Infinity },
  through,
  alone,
}: Removal): AsyncGenerator<number, void, undefined> {
  if (most === Infinity) return;
  const excess = async (): Promise<number> => (await callUsage(medium)).bytes - most;
  if ((await excess()) <= 0) return;
  const oldest = new OldestFirst<CallRemoval>();
  for await (const owner of callOwners(medium)) {
    const calls = new CallRemoval(medium, owner, through);
    // Removes nothing, but finds the first call.
    await calls.step({ excess: { calls: 0, bytes: 0 }, before: 0 });
    oldest.add(calls, calls.next);
  }
  for (let bytes; (bytes = await excess()) > 0;) {
    const { item: calls, before } = oldest.take() ?? {};
    if (calls === undefined) return;
    const bounds = { excess: { calls: 0, bytes }, before };
    yield await alone(calls.owner, () => calls.step(bounds));
    oldest.add(calls, calls.next);
  }
}

/** Owners that have calls, or had some. */
async function* callOwners(medium: Medium): AsyncGenerator<string, void, undefined> {
  const range = under(keyOf('call'));
  for (;;) {
    const [first] = await medium.keys(range, 1);
    if (first === undefined) return;
    const owner = secondOf(first);
    yield owner;
    range.gte = under(keyOf('call', owner)).lt;
  }
}

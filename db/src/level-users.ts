import type { KeyedLock } from '@panal/support';
import type { LevelFunctions } from './level-functions.js';
import { callUsage } from './call-usage.js';
import { keyOf, nameOf, only, under } from './keys.js';
import type { Medium } from './medium.js';
import { encodeJson } from './record-codec.js';
import type { UserRecord } from './records.js';
import { userRecordSchema } from './schemas.js';
import type { UserStore } from './store.js';
import { LEAVING_USERS, noteOfLeaving, rangesOfOwner, writesOfLeaving, writesOfLeft } from './user-index.js';

/** Keys, and functions, removed at once with what a user owned. */
const REMOVAL_PAGE = 1000;
const REMOVAL_FUNCTIONS = 100;

/** The users of a `LevelStore`. */
export class LevelUsers implements UserStore {
  readonly #medium: Medium;
  readonly #lock: KeyedLock;
  readonly #functions: LevelFunctions;
  #hasUsers = false;

  /** @param lock keeps writes of the same record apart, those of other ports as well */
  constructor(medium: Medium, lock: KeyedLock, functions: LevelFunctions) {
    this.#medium = medium;
    this.#lock = lock;
    this.#functions = functions;
  }

  /** Ends the deletions that an earlier run left. */
  async open(): Promise<void> {
    this.#hasUsers = await this.#medium.hasAny(under(keyOf('user')));
    for (const key of await this.#medium.keys(LEAVING_USERS)) await this.#removeOwned(nameOf(key));
  }

  async getUser(name: string): Promise<UserRecord | undefined> {
    return await this.#medium.getJson(keyOf('user', name), userRecordSchema);
  }

  async addUser(user: UserRecord): Promise<boolean> {
    return await this.#lock.run(keyOf('user', user.name), async () => {
      // What a deletion that failed has left.
      if (await this.#medium.has(noteOfLeaving(user.name))) await this.#removeOwned(user.name);
      const key = keyOf('user', user.name);
      const { applied } = await this.#medium.append({ writes: [[key, encodeJson(user)]], none: only(key) });
      this.#hasUsers = true;
      return applied;
    });
  }

  get hasUsers(): boolean {
    return this.#hasUsers;
  }

  async putUser(user: UserRecord): Promise<void> {
    this.#hasUsers = true;
    await this.#medium.commit([[keyOf('user', user.name), encodeJson(user)]]);
  }

  async deleteUser(name: string): Promise<void> {
    // Under the lock, so that a user of this name is added only when nothing is left of the one before.
    await this.#lock.run(keyOf('user', name), async () => {
      await this.#medium.commit(writesOfLeaving(name));
      await this.#removeOwned(name);
    });
  }

  /** Removes what a user owned who is leaving, in pages, and then the note that it is. */
  async #removeOwned(owner: string): Promise<void> {
    for (
      let names;
      (names = await this.#functions.listFunctions({ owner, limit: REMOVAL_FUNCTIONS })).length > 0;
    ) {
      await Promise.all(names.map((name) => this.#functions.deleteFunction(owner, name)));
    }
    for (const range of rangesOfOwner(owner)) {
      for (let keys; (keys = await this.#medium.keys(range, REMOVAL_PAGE)).length > 0;) {
        await this.#medium.commit(keys.map((key) => [key, undefined]));
      }
    }
    const usage = await callUsage(this.#medium, owner);
    await this.#medium.commit(writesOfLeft(owner, usage));
    this.#medium.removed.add({ owner, from: 0, to: Number.MAX_SAFE_INTEGER, bytes: usage.bytes });
  }
}

import type { UserStore, UserRecord } from '@panal/db';
import { PanalError, PUBLIC_OWNER, SYSTEM_OWNER } from '@panal/protocol';
import { KeyedLock } from '@panal/support';
import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import { v7 as uuid } from 'uuid';
import { Attempts } from './attempts.js';
import type { Estate } from './estate.js';
import { asPassword, asUserName, NAME_RULE, PASSWORD_RULE } from './names.js';
import { networkOf } from './network-of.js';
import { Passwords } from './passwords.js';
import { Presence } from './presence.js';
import type { Tokens } from './tokens.js';
import { VerifiedCredentials, type Verified } from './verified.js';

export interface UsersOptions {
  store: Pick<UserStore, 'getUser' | 'addUser' | 'putUser' | 'deleteUser'>;
  estate: Estate;
  tokens: Tokens;
  /** Epoch ms. */
  now?: () => number;
}

/** A token, and until when it is valid, in epoch ms. */
export interface IssuedToken {
  token: string;
  expiresAt: number;
}

/** Users held in memory, so that a request with credentials reads nothing from the store. */
const CACHED_USERS = 10_000;

/** Passwords that are hashed at once: half of the threads that the store and the file system need too. */
const HASHES = 2;
/** Passwords that may wait to be hashed. */
const WAITING_HASHES = 100;

/**
 * The users: who they are, how they prove it, and how they go.
 *
 * A name is one user's at a time. While a user is being deleted nobody can act as it, and nobody can take its name
 * before all that it owned is gone.
 */
export class Users {
  readonly #options: UsersOptions;
  readonly #now: () => number;
  readonly #passwords = new Passwords();
  readonly #hashing = pLimit(HASHES);
  readonly #attempts = new Attempts();
  readonly #presence = new Presence();
  readonly #verified: VerifiedCredentials;
  readonly #records = new LRUCache<string, UserRecord>({ max: CACHED_USERS });
  /** By name: whatever reads the store for `#records`, or writes, goes one after the other. */
  readonly #lock = new KeyedLock();
  /** Deletions under way, by name. */
  readonly #leaving = new Map<string, Promise<void>>();

  constructor(options: UsersOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#verified = new VerifiedCredentials(this.#now);
  }

  /** @throws PanalError INVALID_REQUEST, ALREADY_EXISTS, TOO_MANY_ATTEMPTS, STORE_UNAVAILABLE */
  async register(nameText: string, passwordText: string): Promise<UserRecord> {
    const name = asUserName(nameText);
    if (name === undefined) throw new PanalError('INVALID_REQUEST', NAME_RULE);
    const password = asPassword(passwordText);
    if (password === undefined) throw new PanalError('INVALID_REQUEST', PASSWORD_RULE);
    if (name === PUBLIC_OWNER || name === SYSTEM_OWNER || (await this.#find(name)) !== undefined) {
      throw taken();
    }
    const hashed = await this.#hash(() => this.#passwords.hash(password));
    return await this.#lock.run(name, async () => {
      const user = { name, id: uuid(), password: hashed, createdAt: this.#now() };
      if (!(await this.#options.store.addUser(user))) throw taken();
      this.#records.set(name, user);
      return user;
    });
  }

  /**
   * The user who has this name and password.
   * @param address from which they came: those who guess are held back by it.
   * @throws PanalError UNAUTHORIZED, the same whether the name or the password is wrong; TOO_MANY_ATTEMPTS
   */
  async byPassword(nameText: string, passwordText: string, address: string): Promise<UserRecord> {
    const name = asUserName(nameText);
    const password = asPassword(passwordText);
    if (name === undefined || password === undefined) {
      const attempt = { user: name, address };
      this.#attempts.check(attempt);
      this.#attempts.failed(attempt);
      throw wrong();
    }
    // Also by network: what was right from another address must not tell a stranger which of its guesses is right.
    const credentials = ['password', networkOf(address), name, password];
    const check = async (): Promise<{ verified: Verified }> => {
      const user = await this.#check(name, password, address);
      return { verified: { name, id: user.id, proof: passwordProof(user) } };
    };
    const verified = await this.#verified.whose(credentials, check);
    const user = await this.#current(verified, passwordProof);
    if (user !== undefined) return user;
    // They were right for a user who is gone, or changed the password; they may be right for the one that is there now.
    this.#verified.forget(credentials);
    return await this.#check(name, password, address);
  }

  /** @throws PanalError UNAUTHORIZED for a token that was forged, has expired, or whose user is gone. */
  async byToken(token: string): Promise<UserRecord> {
    const verified = await this.#verified.whose(['token', token], async () => {
      const claims = await this.#options.tokens.verify(token);
      const issuedTo = claims && (await this.#find(claims.user));
      // Only the last token of a user is valid, and that of a user of the same name before never was this user's.
      if (claims === undefined || issuedTo?.token?.id !== claims.id) throw badToken();
      const { name, id } = issuedTo;
      return { verified: { name, id, proof: claims.id }, until: 1000 * claims.expiresAt };
    });
    const user = await this.#current(verified, tokenProof);
    if (user === undefined) throw badToken();
    return user;
  }

  /**
   * The user's token: the same one while it is valid.
   * @throws PanalError UNAUTHORIZED, TOO_MANY_ATTEMPTS, STORE_UNAVAILABLE
   */
  async issueToken(nameText: string, passwordText: string, address: string): Promise<IssuedToken> {
    const { tokens } = this.#options;
    const verified = await this.byPassword(nameText, passwordText, address);
    const { name } = verified;
    return await this.#lock.run(name, async () => {
      const user = await this.#unchanged(verified);
      let { token } = user;
      if (token === undefined || !tokens.isValid(token)) {
        token = tokens.next();
        await this.#put({ ...user, token });
      }
      return { token: await tokens.sign(name, token), expiresAt: 1000 * token.expiresAt };
    });
  }

  /**
   * Gives a user another password, and revokes its token. What was found right before counts no longer.
   * @throws PanalError INVALID_REQUEST, UNAUTHORIZED, TOO_MANY_ATTEMPTS, STORE_UNAVAILABLE
   */
  async changePassword(
    { name, id }: UserRecord,
    { password, newPassword }: { password: string; newPassword: string },
    address: string,
  ): Promise<void> {
    const next = asPassword(newPassword);
    if (next === undefined) throw new PanalError('INVALID_REQUEST', PASSWORD_RULE);
    const verified = await this.byPassword(name, password, address);
    if (verified.id !== id) throw wrong();
    const hashed = await this.#hash(() => this.#passwords.hash(next));
    await this.#lock.run(name, async () => {
      await this.#put({ ...withoutToken(await this.#unchanged(verified)), password: hashed });
    });
  }

  /** Revokes the token of a user. @throws PanalError UNAUTHORIZED, STORE_UNAVAILABLE */
  async revokeTokens({ name, id }: UserRecord): Promise<void> {
    await this.#lock.run(name, async () => {
      const user = await this.#read(name);
      if (user?.id !== id) throw wrong();
      if (user.token !== undefined) await this.#put(withoutToken(user));
    });
  }

  /**
   * Somebody begins to act as this user, whom one of the methods above just gave.
   * @param end stops that at once: the user is being deleted.
   * @returns to be called when it is over.
   * @throws PanalError UNAUTHORIZED when the user is being deleted.
   */
  enter({ name }: UserRecord, end: () => void): () => void {
    if (this.#leaving.has(name)) throw wrong();
    return this.#presence.enter(name, end);
  }

  /**
   * Deletes a user with all that it owns. Whoever acts as the user is stopped first and waited for; who calls this on
   * the user's behalf must have left.
   * @throws PanalError STORE_UNAVAILABLE; the user is still there then, and can be deleted again.
   */
  async delete({ name }: UserRecord): Promise<void> {
    let leaving = this.#leaving.get(name);
    if (leaving === undefined) {
      leaving = this.#remove(name);
      this.#leaving.set(name, leaving);
    }
    await leaving;
  }

  async #remove(name: string): Promise<void> {
    this.#records.delete(name);
    await this.#presence.clear(name);
    await this.#lock.run(name, async () => {
      try {
        await this.#options.estate.remove(name);
        await this.#options.store.deleteUser(name);
      } finally {
        this.#leaving.delete(name);
      }
    });
  }

  /** Runs `work`, which hashes a password, when its turn comes. @throws PanalError TOO_MANY_ATTEMPTS if too many wait */
  async #hash<T>(work: () => Promise<T>): Promise<T> {
    if (this.#hashing.pendingCount >= WAITING_HASHES) {
      throw new PanalError('TOO_MANY_ATTEMPTS', 'too many log in or register right now', { retryAfter: 1 });
    }
    return await this.#hashing(work);
  }

  async #check(name: string, password: string, address: string): Promise<UserRecord> {
    const attempt = { user: name, address };
    this.#attempts.check(attempt);
    return await this.#hash(async () => {
      // Others may have failed while this one waited.
      this.#attempts.check(attempt);
      const user = await this.#find(name);
      const right = await this.#passwords.isRight(password, user?.password);
      if (right && user !== undefined) {
        const verified = { name, id: user.id, proof: passwordProof(user) };
        const current = await this.#current(verified, passwordProof);
        if (current !== undefined) {
          this.#attempts.succeeded(attempt);
          return current;
        }
      }
      this.#attempts.failed(attempt);
      throw wrong();
    });
  }

  /** The user whose credentials were right then, as it is now; `undefined` if they are right no longer. */
  async #current(
    { name, id, proof }: Verified,
    proofOf: (user: UserRecord) => string | undefined,
  ): Promise<UserRecord | undefined> {
    const user = await this.#find(name);
    return user?.id === id && proofOf(user) === proof ? user : undefined;
  }

  /** The same user with the same password, as it is now; to be called under the lock. @throws PanalError UNAUTHORIZED */
  async #unchanged({ name, id, password }: UserRecord): Promise<UserRecord> {
    const user = await this.#read(name);
    if (user?.id !== id || user.password.hash !== password.hash) throw wrong();
    return user;
  }

  /** To be called under the lock. */
  async #put(user: UserRecord): Promise<void> {
    // A store that fails may have written after all: what is there is read then.
    this.#records.delete(user.name);
    await this.#options.store.putUser(user);
    this.#records.set(user.name, user);
  }

  async #find(name: string): Promise<UserRecord | undefined> {
    if (this.#leaving.has(name)) return undefined;
    return this.#records.get(name) ?? (await this.#lock.run(name, () => this.#read(name)));
  }

  /** To be called under the lock. */
  async #read(name: string): Promise<UserRecord | undefined> {
    if (this.#leaving.has(name)) return undefined;
    const known = this.#records.get(name);
    if (known !== undefined) return known;
    const user = await this.#options.store.getUser(name);
    if (user !== undefined && !this.#leaving.has(name)) this.#records.set(name, user);
    return user;
  }
}

const passwordProof = ({ password }: UserRecord): string => password.hash;
const tokenProof = ({ token }: UserRecord): string | undefined => token?.id;

function withoutToken(user: UserRecord): UserRecord {
  const rest = { ...user };
  delete rest.token;
  return rest;
}

const taken = (): PanalError => new PanalError('ALREADY_EXISTS', 'there is a user of this name already');
const wrong = (): PanalError => new PanalError('UNAUTHORIZED', 'wrong user or password');
const badToken = (): PanalError =>
  new PanalError('UNAUTHORIZED', 'the token is not valid, or has expired; get another');

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { PasswordRecord } from '@panal/db';

/** The cost of a new password: 32 MiB and some 0.1 s (OWASP's Password Storage Cheat Sheet). */
const COST = { N: 2 ** 15, r: 8, p: 1 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;

/** Passwords, stretched by scrypt on a thread of the pool (RFC 7914). */
export class Passwords {
  /** What is hashed against where there is no user, so that it takes as long. No password is right for it. */
  readonly #nobody: PasswordRecord = record(COST, randomBytes(SALT_BYTES), randomBytes(HASH_BYTES));

  async hash(password: string): Promise<PasswordRecord> {
    const salt = randomBytes(SALT_BYTES);
    return record(COST, salt, await stretch(password, salt, HASH_BYTES, COST));
  }

  /** Whether `password` is the one that was hashed; never for `undefined`, which takes as long. */
  async isRight(password: string, kept: PasswordRecord = this.#nobody): Promise<boolean> {
    const hash = Buffer.from(kept.hash, 'base64');
    const made = await stretch(password, Buffer.from(kept.salt, 'base64'), hash.byteLength, kept);
    return timingSafeEqual(made, hash) && kept !== this.#nobody;
  }
}

type Cost = Pick<PasswordRecord, 'N' | 'r' | 'p'>;

const scryptAsync = promisify<string, Buffer, number, Cost & { maxmem: number }, Buffer>(scrypt);

async function stretch(password: string, salt: Buffer, length: number, { N, r, p }: Cost): Promise<Buffer> {
  // It takes 128 × N × r bytes, and a little more.
  return await scryptAsync(password, salt, length, { N, r, p, maxmem: 256 * N * r });
}

function record({ N, r, p }: Cost, salt: Buffer, hash: Buffer): PasswordRecord {
  return { N, r, p, salt: salt.toString('base64'), hash: hash.toString('base64') };
}

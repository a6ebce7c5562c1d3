import { createSecretKey, type KeyObject } from 'node:crypto';
import type { TokenRecord } from '@panal/db';
import { errors, jwtVerify, SignJWT } from 'jose';
import { v7 as uuid } from 'uuid';
import { z } from 'zod';

/** The one algorithm that is signed with and believed (RFC 7518, 3.2). */
const ALGORITHM = 'HS256';

/** No token that was issued here is longer. */
const MAX_LENGTH = 8192;

const claimsSchema = z.object({ sub: z.string(), jti: z.string(), exp: z.number() });

/** What a token says that was issued here and has not expired. */
export interface Claims {
  /** Name of the user. */
  user: string;
  /** `TokenRecord.id`. */
  id: string;
  /** Epoch seconds. */
  expiresAt: number;
}

/** JSON Web Tokens (RFC 7519) that say who somebody is. The same record gives the same token, to the byte. */
export class Tokens {
  readonly #key: KeyObject;
  readonly #ttl: number;
  readonly #now: () => number;

  /**
   * @param options.secret to sign with; UTF-8.
   * @param options.ttl for how long a token is valid, in seconds.
   * @param options.now epoch ms.
   */
  constructor({ secret, ttl, now }: { secret: string; ttl: number; now: () => number }) {
    this.#key = createSecretKey(secret, 'utf8');
    this.#ttl = ttl;
    this.#now = now;
  }

  /** The record of a new token. */
  next(): TokenRecord {
    const issuedAt = Math.floor(this.#now() / 1000);
    return { id: uuid(), issuedAt, expiresAt: issuedAt + this.#ttl };
  }

  isValid({ expiresAt }: TokenRecord): boolean {
    return this.#now() < expiresAt * 1000;
  }

  async sign(user: string, { id, issuedAt, expiresAt }: TokenRecord): Promise<string> {
    return await new SignJWT({ sub: user, jti: id, iat: issuedAt, exp: expiresAt })
      .setProtectedHeader({ alg: ALGORITHM, typ: 'JWT' })
      .sign(this.#key);
  }

  /** What the token says; `undefined` where it was forged, or has expired. */
  async verify(token: string): Promise<Claims | undefined> {
    if (token.length > MAX_LENGTH) return undefined;
    try {
      const currentDate = new Date(this.#now());
      const { payload } = await jwtVerify(token, this.#key, { algorithms: [ALGORITHM], currentDate });
      const { sub, jti, exp } = claimsSchema.parse(payload);
      return { user: sub, id: jti, expiresAt: exp };
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof z.ZodError) return undefined;
      throw error;
    }
  }
}

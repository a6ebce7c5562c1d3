import type { AcceptedCall, Call } from '@panal/api';
import type { JsonAnswer, RequestOptions } from './http.js';

/** Options of a request that makes a call. */
export interface StartOptions extends RequestOptions {
  /** Seconds for which the broker waits for the end of the call; default: 0. */
  wait?: number | undefined;
  /**
   * Names the request: sent again within a day, it gives the same call. By default each request has a key of its own,
   * so that the client may send it again if the connection fails.
   */
  idempotencyKey?: string | undefined;
}

/** A call as the broker answered it. */
export interface CallAnswer extends Call {
  /** The JSON of the call as the broker wrote it. Parsed, numbers in its parameters may lose digits. */
  json: string;
}

/** The part of a request that makes a call which its options say. */
export const accepting = ({ wait, idempotencyKey = newKey(), signal }: StartOptions) => ({
  query: wait === undefined ? {} : { wait },
  headers: { 'Idempotency-Key': idempotencyKey },
  signal,
});

/** The call that an answer shows if it has ended, else its number. */
export const acceptedOf = ({ value, text }: JsonAnswer<Call | AcceptedCall>): CallAnswer | AcceptedCall =>
  isCall(value) ? { ...value, json: text } : value;

const isCall = (value: Call | AcceptedCall): value is Call => 'funcName' in value;

/** A random key of 128 bits. `crypto.randomUUID` is missing in pages that came without TLS. */
export const newKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join(
    '',
  );

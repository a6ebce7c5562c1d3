import { PanalError } from '@panal/protocol';
import type { z } from 'zod';

export function encodeJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** Gives a decoder of what `encodeJson` wrote. It throws where the bytes are something else. */
export function jsonDecoder<T>(schema: z.ZodType<T>): (bytes: Uint8Array) => T {
  return (bytes) => schema.parse(JSON.parse(Buffer.from(bytes).toString()));
}

/**
 * Reads the value at `key`.
 * @throws PanalError `INTERNAL` where `decoder` throws; the cause names the key, which is not for clients to see.
 */
export function decodeValue<T>(key: string, value: Uint8Array, decoder: (bytes: Uint8Array) => T): T {
  try {
    return decoder(value);
  } catch (error) {
    const cause = new Error(`the record at ${JSON.stringify(key)} is damaged`, { cause: error });
    throw new PanalError('INTERNAL', 'a stored record is damaged', { cause });
  }
}

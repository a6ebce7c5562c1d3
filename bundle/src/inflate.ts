import { pipeline, type Readable, type Transform } from 'node:stream';

/**
 * The bytes of `packed` as a decoder of zlib makes them. Nothing is started before the first are asked for: a decoder
 * that fails while nobody reads it would end the process.
 */
export async function* inflate(
  packed: AsyncIterable<Buffer> | Readable,
  createDecoder: () => Transform,
): AsyncGenerator<Buffer> {
  const decoder = createDecoder();
  // The one who reads hears of errors.
  pipeline(packed, decoder, () => undefined);
  const pieces: AsyncIterable<Buffer> = decoder;
  yield* pieces;
}

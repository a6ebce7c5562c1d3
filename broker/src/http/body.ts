import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { PanalError, readJson, type JsonDocument } from '@panal/protocol';
import type { Context } from './context.js';

/**
 * Reads a request's body as it is, into memory.
 * @param limit in bytes.
 * @throws PanalError BODY_TOO_LARGE, REQUEST_ABORTED
 */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge(limit);
  if (request.destroyed) throw aborted();
  return await new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.byteLength;
      if (size <= limit) {
        chunks.push(chunk);
        return;
      }
      // The rest flows away unread: a client that still sends would not see an answer on a closed connection.
      request.removeAllListeners('data').resume();
      reject(tooLarge(limit));
    });
    request.once('end', () => {
      const [first] = chunks;
      resolve(first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks, size));
    });
    request.once('error', (cause) => reject(aborted(cause)));
    request.once('close', () => {
      if (!request.complete) reject(aborted());
    });
  });
}

/** Reads a body as JSON in UTF-8, whatever its content type says (`curl -d` calls everything a form), but multipart. */
export class JsonReader {
  readonly #limit: number;

  /** @param limit of a body in bytes. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @throws PanalError INVALID_REQUEST, UNSUPPORTED_MEDIA_TYPE, BODY_TOO_LARGE, REQUEST_ABORTED */
  async read(ctx: Context): Promise<JsonDocument> {
    if (ctx.get('Content-Type').startsWith('multipart/')) {
      throw new PanalError('UNSUPPORTED_MEDIA_TYPE', 'this route takes JSON');
    }
    if (!['', 'identity'].includes(ctx.get('Content-Encoding').toLowerCase())) {
      throw new PanalError('UNSUPPORTED_MEDIA_TYPE', 'JSON is taken without a content encoding');
    }
    const bytes = await readBody(ctx.req, this.#limit);
    // Decoded all the same, other bytes would turn into U+FFFD without a word.
    if (!isUtf8(bytes)) throw new PanalError('INVALID_REQUEST', 'the body is not UTF-8');
    return readJson(bytes.toString());
  }
}

const tooLarge = (limit: number): PanalError =>
  new PanalError('BODY_TOO_LARGE', `the body is larger than ${limit} bytes (FAAS_MAX_BODY)`);

const aborted = (cause?: unknown): PanalError =>
  new PanalError('REQUEST_ABORTED', 'the client went away before its request was whole', { cause });

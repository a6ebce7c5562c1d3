import type { IncomingMessage } from 'node:http';
import { PanalError } from '@panal/protocol';
import { HttpMethodEnum, koaBody } from 'koa-body';
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

/**
 * Reads a body as JSON, whatever its content type says (`curl -d` calls everything a form), but multipart. Objects
 * with a `__proto__` key, which could poison a prototype further on, are refused.
 */
export class JsonReader {
  readonly #parse: ReturnType<typeof koaBody>;
  readonly #limit: number;

  /** @param limit of a body in bytes. */
  constructor(limit: number) {
    this.#limit = limit;
    this.#parse = koaBody({
      jsonLimit: limit,
      jsonTypes: ['*/*'],
      urlencoded: false,
      text: false,
      parsedMethods: [HttpMethodEnum.POST, HttpMethodEnum.PUT],
      patchNode: false,
    });
  }

  /** @throws PanalError INVALID_REQUEST, UNSUPPORTED_MEDIA_TYPE, BODY_TOO_LARGE, REQUEST_ABORTED */
  async read(ctx: Context): Promise<unknown> {
    if (ctx.get('Content-Type').startsWith('multipart/')) {
      throw new PanalError('UNSUPPORTED_MEDIA_TYPE', 'this route takes JSON');
    }
    if (!['', 'identity'].includes(ctx.get('Content-Encoding').toLowerCase())) {
      throw new PanalError('UNSUPPORTED_MEDIA_TYPE', 'JSON is taken without a content encoding');
    }
    // Any type that is there will do; one that is not would leave the body unread.
    ctx.req.headers['content-type'] = 'application/json';
    try {
      await this.#parse(ctx, () => Promise.resolve());
    } catch (error) {
      throw this.#refusal(error);
    }
    return ctx.request.body;
  }

  #refusal(error: unknown): PanalError {
    const type = error instanceof Error && 'type' in error ? error.type : undefined;
    if (type === 'entity.too.large') return tooLarge(this.#limit);
    if (type === 'request.aborted') return aborted(error);
    const poison = error instanceof Error && error.message.includes('prototype property');
    const why = poison ? 'the body has a forbidden key, __proto__' : 'the body is not JSON';
    return new PanalError('INVALID_REQUEST', why, { cause: error });
  }
}

const tooLarge = (limit: number): PanalError =>
  new PanalError('BODY_TOO_LARGE', `the body is larger than ${limit} bytes`);

const aborted = (cause?: unknown): PanalError =>
  new PanalError('REQUEST_ABORTED', 'the client went away before its request was whole', { cause });

import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { PanalError, readJson, type JsonDocument } from '@panal/protocol';
import { HttpMethodEnum, koaBody } from 'koa-body';
import { BodyMemory } from '../memory/body-memory.js';
import type { Context } from './context.js';

/**
 * Reads a request's body as it is, into memory.
 * @param limit in bytes.
 * @throws PanalError BODY_TOO_LARGE, REQUEST_ABORTED, and what the request fails with
 */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge(limit);
  if (request.destroyed) throw aborted();
  return await new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const take = (chunk: Buffer): void => {
      size += chunk.byteLength;
      if (size <= limit) {
        chunks.push(chunk);
        return;
      }
      leave();
      reject(tooLarge(limit));
      // The rest flows away unread: a client that still sends would not see an answer on a closed connection.
      request.removeAllListeners('data').resume();
    };
    const end = (): void => {
      leave();
      const [first] = chunks;
      resolve(first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks, size));
    };
    const fail = (cause: unknown): void => {
      leave();
      reject(cause instanceof PanalError ? cause : aborted(cause));
    };
    const close = (): void => fail(undefined);
    // The request may live for as long as its call, and the body must not stay in memory with it.
    const leave = (): void => {
      request.off('data', take).off('end', end).off('error', fail).off('close', close);
    };
    request.on('data', take).on('end', end).on('error', fail).on('close', close);
  });
}

/** Reads a body as JSON in UTF-8, whatever its content type says (`curl -d` calls everything a form), but multipart. */
export class JsonReader {
  readonly #limit: number;
  readonly #memory: BodyMemory;
  readonly #parse: ReturnType<typeof koaBody>;

  /**
   * @param limit of a body in bytes.
   * @param memory where bodies are counted; nowhere else by default
   */
  constructor(limit: number, memory = new BodyMemory()) {
    this.#limit = limit;
    this.#memory = memory;
    this.#parse = koaBody({
      text: true,
      textLimit: limit,
      // One character for each byte: the bytes are needed as they came, to check and to pass on.
      encoding: 'latin1',
      json: false,
      urlencoded: false,
      parsedMethods: [HttpMethodEnum.POST, HttpMethodEnum.PUT],
      patchNode: false,
    });
  }

  /** @throws PanalError INVALID_REQUEST, UNSUPPORTED_MEDIA_TYPE, BODY_TOO_LARGE, REQUEST_ABORTED, QUEUE_FULL */
  async read(ctx: Context): Promise<JsonDocument> {
    if (ctx.get('Content-Type').startsWith('multipart/')) {
      throw new PanalError('UNSUPPORTED_MEDIA_TYPE', 'this route takes JSON');
    }
    if (!['', 'identity'].includes(ctx.get('Content-Encoding').toLowerCase())) {
      throw new PanalError('UNSUPPORTED_MEDIA_TYPE', 'JSON is taken without a content encoding');
    }
    const bytes = await this.#bytes(ctx);
    // Decoding other bytes would silently turn them into U+FFFD.
    if (!isUtf8(bytes)) throw new PanalError('INVALID_REQUEST', 'the body is not UTF-8');
    return readJson(bytes.toString());
  }

  async #bytes(ctx: Context): Promise<Buffer> {
    // koa-body leaves a body unread if it has no type, or one that it does not know.
    ctx.req.headers['content-type'] = 'text/plain';
    try {
      // It listens to the request when it is called, so that no piece comes by before.
      const parsed: unknown = this.#parse(ctx, () => Promise.resolve());
      this.#memory.count(ctx.req, ctx.state.owner);
      await parsed;
    } catch (error) {
      if (error instanceof PanalError) throw error;
      const type = error instanceof Error && 'type' in error ? error.type : undefined;
      if (type === 'entity.too.large') throw tooLarge(this.#limit);
      throw aborted(error);
    }
    const text: unknown = ctx.request.body;
    // The request may live for as long as its call.
    ctx.request.body = null;
    return Buffer.from(typeof text === 'string' ? text : '', 'latin1');
  }
}

const tooLarge = (limit: number): PanalError =>
  new PanalError('BODY_TOO_LARGE', `the body is larger than ${limit} bytes (FAAS_MAX_BODY)`);

const aborted = (cause?: unknown): PanalError =>
  new PanalError('REQUEST_ABORTED', 'the client went away before its request was whole', { cause });

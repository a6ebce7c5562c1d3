import { PanalError } from '@panal/protocol';
import type { Middleware } from 'koa';
import type { Logger } from 'pino';
import { z } from 'zod';

/** The body of every error. */
export const errorSchema = z.strictObject({
  error: z.strictObject({ code: z.string(), message: z.string() }),
});

/**
 * The one place where a failure becomes an answer: an expected one is shown, any other is logged with its stack and
 * hidden as `INTERNAL`.
 */
export function errorBoundary(log: Logger): Middleware {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const shown = error instanceof PanalError ? error : hidden(error);
      if (shown.code === 'INTERNAL')
        log.error({ err: error, method: ctx.method, path: ctx.path }, 'request failed');
      if (shown.retryAfter !== undefined) ctx.set('Retry-After', String(shown.retryAfter));
      ctx.status = shown.status;
      ctx.body = { error: { code: shown.code, message: shown.message } };
    }
  };
}

const hidden = (cause: unknown): PanalError =>
  new PanalError('INTERNAL', 'something went wrong inside; the log of the broker has the cause', { cause });

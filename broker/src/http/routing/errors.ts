import { PANAL_ERRORS, type ErrorCode } from '@panal/api';
import { PanalError } from '@panal/protocol';
import type { Context, Middleware } from 'koa';
import type { Logger } from 'pino';
import type { RequestState } from './context.js';

/**
 * The one place where a failure becomes an answer: an expected one is shown, any other is logged with its stack and
 * hidden as `INTERNAL`.
 */
export function errorBoundary(
  log: Logger,
  counter: { answered(code: ErrorCode): void },
): Middleware<RequestState> {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const shown = error instanceof PanalError ? error : hasTarget(ctx) ? hidden(error) : badTarget(error);
      counter.answered(shown.code);
      if (shown.code === 'INTERNAL')
        log.error({ err: error, method: ctx.method, path: ctx.path }, 'request failed');
      if (shown.retryAfter !== undefined) ctx.set('Retry-After', String(shown.retryAfter));
      if (shown.code === 'UNAUTHORIZED') ctx.set('WWW-Authenticate', challenges(ctx));
      ctx.status = shown.status;
      ctx.body = (ctx.state.errorShape ?? PANAL_ERRORS).body(shown);
    }
  };
}

/**
 * How one may say who one is (RFC 9110, 11.6.1); for whoever showed a token, what was wrong (RFC 6750, 3.1). One header
 * for both: of several, some proxies hand on the last alone.
 */
function challenges(ctx: Context): string {
  const bearer = /^bearer /i.test(ctx.get('Authorization')) ? ', error="invalid_token"' : '';
  return `Basic realm="panal", charset="UTF-8", Bearer realm="panal"${bearer}`;
}

/** Whether the request says what it is for: to read that from such as `http://[` fails. */
function hasTarget(ctx: Context): boolean {
  try {
    return typeof ctx.path === 'string';
  } catch {
    return false;
  }
}

const badTarget = (cause: unknown): PanalError =>
  new PanalError('INVALID_REQUEST', "the request's target is not a well-formed URL", { cause });

const hidden = (cause: unknown): PanalError =>
  new PanalError('INTERNAL', 'something went wrong inside; the log of the broker has the cause', { cause });

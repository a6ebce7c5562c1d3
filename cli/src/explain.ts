import { ApiError, ConnectionError, UnexpectedAnswerError } from '@panal/client';
import { Failure, messageOf } from './failure.js';

/** What to do about an error, by its code. */
const HINTS: Readonly<Record<string, string>> = {
  UNAUTHORIZED: 'log in with: panal login',
  FUNCTION_NOT_FOUND: 'see which there are with: panal functions',
  RUNTIME_NOT_FOUND: 'see which there are with: panal runtimes',
  VERSION_IN_USE: 'make another version the active one first, with: panal rollback NAME',
  VERSION_NOT_FOUND: 'see which there are with: panal function NAME',
  CALL_NOT_FOUND: 'see which there are with: panal calls',
  BUNDLE_TOO_LARGE: 'leave out what the function does not need, with a .panalignore file',
  NO_WORKER_FITS: 'lower the memoryMb of the function, or add a worker with more memory: panal workers',
  NO_CONTAINER_ENGINE: 'functions made of images need a worker with a container engine: panal workers',
};

/** Codes of a connection that the other side closed. */
const BROKEN: readonly unknown[] = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'];

/** The failure that an error of the client stands for; `undefined` for any other error. */
export function explain(error: unknown): Failure | undefined {
  if (error instanceof Failure) return error;
  if (error instanceof ApiError) {
    const { code, message, retryAfter } = error;
    const hint = retryAfter === undefined ? HINTS[code] : `try again in ${retryAfter} s`;
    return new Failure(message, { code, hint, cause: error });
  }
  if (error instanceof ConnectionError) return unreachable(error);
  if (error instanceof UnexpectedAnswerError) {
    const { url, status } = error;
    const what = status < 300 ? 'answered' : `answered ${status},`;
    const hint = 'is the address right? see --url';
    return new Failure(`${url} ${what} what is not Panal's`, { hint, cause: error });
  }
  return undefined;
}

function unreachable(error: ConnectionError): Failure {
  const { url } = error;
  const cause = rootOf(error);
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  // `fetch` gives no code if it does not even try, as for port 1.
  const why = typeof code !== 'string' || code === 'ECONNREFUSED' ? '' : ` (${code})`;
  const message = BROKEN.includes(code)
    ? `${url} broke the connection: ${messageOf(cause)}`
    : `cannot reach ${url}${why}`;
  const hint = 'is the cluster running? start it with: panal up';
  return new Failure(message, { code: 'UNREACHABLE', hint, cause: error });
}

/** What an error comes from: `fetch` wraps the error of the connection. */
function rootOf(error: Error): unknown {
  return error.cause instanceof Error ? rootOf(error.cause) : error;
}

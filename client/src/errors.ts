import { errorSchema, failedCallSchema, type ErrorCode } from '@panal/api';

/** The broker refused the request, or the call of `run` failed. */
export class ApiError extends Error {
  /** One of the codes of `ErrorCode`; a newer broker may have others. */
  readonly code: ErrorCode | (string & {});
  /** HTTP status. */
  readonly status: number;
  /** Seconds after which to try again (`Retry-After`), if the broker says so. */
  readonly retryAfter: number | undefined;
  /** Number of the call that failed (`X-Call-Num`), for errors of `run`. */
  readonly callNum: number | undefined;
  /** The end of the logs of the call that failed. */
  readonly detail: string | undefined;

  constructor(
    message: string,
    fields: { code: string; status: number; retryAfter?: number; callNum?: number; detail?: string },
  ) {
    super(message);
    this.name = 'ApiError';
    this.code = fields.code;
    this.status = fields.status;
    this.retryAfter = fields.retryAfter;
    this.callNum = fields.callNum;
    this.detail = fields.detail;
  }
}

/** No answer came, or it broke off. `cause` has the error of `fetch`. */
export class ConnectionError extends Error {
  /** Base URL of the cluster. */
  readonly url: string;

  constructor(url: string, cause: unknown) {
    super(`no answer from ${url}`, { cause });
    this.name = 'ConnectionError';
    this.url = url;
  }
}

/** The answer is not one of Panal's: something else listens at that URL. */
export class UnexpectedAnswerError extends Error {
  /** Base URL that was asked. */
  readonly url: string;
  /** HTTP status. */
  readonly status: number;

  constructor(url: string, status: number, cause?: unknown) {
    super(`${url} did not respond like a Panal broker (status ${status})`, { cause });
    this.name = 'UnexpectedAnswerError';
    this.url = url;
    this.status = status;
  }
}

/** The error that an answer stands for. */
export function errorOf(
  url: string,
  { status, headers }: Pick<Response, 'status' | 'headers'>,
  text: string,
): Error {
  const body = jsonOf(text);
  const failed = failedCallSchema.safeParse(body).data ?? errorSchema.safeParse(body).data;
  if (failed === undefined) return new UnexpectedAnswerError(url, status);
  const { code, message, ...rest } = failed.error;
  const retryAfter = numberOf(headers.get('Retry-After'));
  const callNum = numberOf(headers.get('X-Call-Num'));
  return new ApiError(message, {
    code,
    status,
    ...rest,
    ...(retryAfter !== undefined && { retryAfter }),
    ...(callNum !== undefined && { callNum }),
  });
}

/** The value of JSON text; `undefined` if it is not JSON. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A header that is a whole number. */
export function numberOf(header: string | null): number | undefined {
  return header !== null && /^\d+$/.test(header) ? Number(header) : undefined;
}

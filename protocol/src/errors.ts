import { ERROR_STATUS, type ErrorCode } from '@panal/api';

export { ERROR_STATUS, type ErrorCode };

/** An expected failure: it has a code of the closed list, and its message may be shown to a client. */
export class PanalError extends Error {
  readonly code: ErrorCode;
  /** Seconds after which a client may try again (`Retry-After`, RFC 9110 10.2.3). */
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; retryAfter?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PanalError';
    this.code = code;
    this.retryAfter = options.retryAfter;
  }

  get status(): number {
    return ERROR_STATUS[this.code];
  }
}

/** Why a call did not end as DONE, as it stands in the call's record. */
export interface CallError {
  code: ErrorCode;
  message: string;
}

import type { CallError } from '@panal/protocol';

/** The platform failed: the call may be tried again. */
export class PlatformError extends Error {
  readonly error: CallError;
  constructor(code: CallError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PlatformError';
    this.error = { code, message };
  }
}

/** What a function was prepared from is gone: it is to be prepared anew, which is no failure of the call. */
export class Unprepared extends PlatformError {
  constructor(message: string, options?: ErrorOptions) {
    super('SANDBOX_FAILED', message, options);
    this.name = 'Unprepared';
  }
}

/** The function cannot run as it was registered: final. */
export class FunctionError extends Error {
  readonly error: CallError;
  /** What the owner should read: the output of the failed command. */
  readonly logs: Uint8Array;
  readonly exitCode: number | undefined;
  constructor(
    code: CallError['code'],
    message: string,
    logs: Uint8Array = new Uint8Array(0),
    exitCode?: number,
  ) {
    super(message);
    this.name = 'FunctionError';
    this.error = { code, message };
    this.logs = logs;
    this.exitCode = exitCode;
  }
}

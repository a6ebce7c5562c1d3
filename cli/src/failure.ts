export const EXIT_FAILED = 1;
/** Of a command that was not used as it must be. */
export const EXIT_USAGE = 2;
/** The shell's exit code for a command that ended by SIGINT. */
export const EXIT_INTERRUPTED = 130;

interface FailureOptions {
  /** One of the cluster's error codes, or one of `USAGE`, `UNREACHABLE`, `FAILED`, `INTERRUPTED`. */
  code?: string;
  /** What the user may do now. */
  hint?: string | undefined;
  exitCode?: number;
  cause?: unknown;
}

/** An expected failure: its message and hint are all that a user needs to see. */
export class Failure extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly exitCode: number;

  constructor(
    message: string,
    { code = 'FAILED', hint, exitCode = EXIT_FAILED, cause }: FailureOptions = {},
  ) {
    super(message, { cause });
    this.name = 'Failure';
    this.code = code;
    this.hint = hint;
    this.exitCode = exitCode;
  }
}

/** A command that was not used as it must be. */
export const misuse = (message: string, hint?: string): Failure =>
  new Failure(message, { code: 'USAGE', exitCode: EXIT_USAGE, hint });

/** The message of whatever was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

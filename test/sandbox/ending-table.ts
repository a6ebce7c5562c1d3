import type { RunResult } from '../../worker/src/contracts/run.js';
import type { ArchiveEntry } from '../../testkit/archives.js';
import { foreignProgram } from '../support/foreign-program.js';

/** The bundle with which the tables below are tried. */
export const ENDING_FILES: ArchiveEntry[] = [
  { name: 'plain', content: 'no program\n' },
  { name: 'foreign', content: foreignProgram(), mode: 0o755 },
  { name: 'text', content: 'echo a shell ran it >&2\n', mode: 0o755 },
  { name: 'empty', content: '', mode: 0o755 },
  { name: 'orphan', content: '#!/no/such/interpreter\n', mode: 0o755 },
];

export interface Ending {
  code: string | undefined;
  exitCode: number;
  message: RegExp;
}

const killed = (exitCode: number, message: RegExp): Ending => ({
  code: 'FUNCTION_KILLED',
  exitCode,
  message,
});
const failed = (exitCode: number): Ending => ({
  code: 'FUNCTION_FAILED',
  exitCode,
  message: new RegExp(`exited with code ${exitCode}$`),
});
const notStarted = (exitCode: number, message: RegExp): Ending => ({
  code: 'START_FAILED',
  exitCode,
  message,
});

const NO_PROGRAM = notStarted(126, /^\.\/\w+: exec format error/i);

/** Values of `run` and how they end, in every lifecycle, driver and path. */
export const ENDINGS: Readonly<Record<string, Ending>> = {
  'exit 3': failed(3),
  'exit 255': failed(255),
  'kill -SEGV $$': killed(139, /SIGSEGV \(signal 11\)/),
  'kill -KILL $$': killed(137, /SIGKILL/),
  'kill -TERM $$': killed(143, /SIGTERM/),
  'kill -ABRT $$': killed(134, /SIGABRT/),
  // A shell tells of a process below it by the same exit code.
  "sh -c 'kill -SEGV $$'; exit $?": killed(139, /SIGSEGV/),
  './missing': notStarted(127, /\.\/missing.*(?:no such file|not found)/i),
  nosuchprogram: notStarted(127, /nosuchprogram.*(?:no such file|not found)/i),
  './plain': notStarted(126, /\.\/plain.*permission denied/i),
  'A=1 ./missing >out': notStarted(127, /\.\/missing.*(?:no such file|not found)/i),
  './missing $HOME': notStarted(127, /\.\/missing.*(?:no such file|not found)/i),
  './plain "$HOME"': notStarted(126, /\.\/plain.*permission denied/i),
  './foreign': NO_PROGRAM,
  'exec ./foreign': NO_PROGRAM,
  './foreign $HOME': NO_PROGRAM,
  'A=1 ./foreign 2>/dev/null': NO_PROGRAM,
  'exec ./foreign "$HOME" >out': NO_PROGRAM,
  './text': NO_PROGRAM,
  './text $HOME': NO_PROGRAM,
  './empty': NO_PROGRAM,
  './orphan': notStarted(127, /\.\/orphan.*(?:no such file|not found)/i),
};

export const ending = ({ error, exitCode }: RunResult): object => ({ code: error?.code, exitCode });

/** Values of `handler` that cannot start. */
export const HANDLERS_REFUSED: readonly [handler: string, exitCode: number, message: RegExp][] = [
  ['./foreign', 126, /\.\/foreign: exec format error/],
  ['exec ./foreign "$FAAS_SOCKET"', 126, /\.\/foreign: exec format error/],
  ['./text', 126, /\.\/text: exec format error/],
  ['./missing', 127, /\.\/missing: not found/],
  ['exec nosuchprogram $HOME', 127, /nosuchprogram: not found/],
];

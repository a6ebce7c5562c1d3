import type { Duplex } from 'node:stream';
import type { CallError } from '@panal/protocol';
import { demultiplex } from '../../engine/demux.js';
import type { ActiveCall } from '../protocol/active-call.js';
import { exited, failed, killed, type Verdict } from '../protocol/verdict.js';

/** Exit code of a process that the kernel, or somebody, killed outright: 128 + SIGKILL. */
export const SIGKILLED = 137;
/** Exit codes by which the engine and shells tell of a signal: 128 + its number. */
const FIRST_SIGNAL = 129;
const LAST_SIGNAL = 159;

/** Gives the process of a call its input and collects its output, until it has closed it. */
export async function converse(stream: Duplex, call: ActiveCall): Promise<void> {
  const ended = demultiplex(stream, {
    stdout: (piece) => call.addResult(piece),
    stderr: (piece) => call.output.addLogs(piece),
  });
  stream.end(call.request.body);
  await ended;
}

/** What an exit code means that came through the engine; `explain` is asked why a process was killed outright. */
export async function verdictOf(
  exitCode: number,
  explain: () => Promise<CallError | undefined>,
): Promise<Verdict> {
  if (exitCode < FIRST_SIGNAL || exitCode > LAST_SIGNAL) return exited(exitCode);
  const cause = exitCode === SIGKILLED ? await explain() : undefined;
  return cause === undefined ? killed(exitCode) : failed(cause, exitCode);
}

import type { Duplex } from 'node:stream';
import type { CallError } from '@panal/protocol';
import { demultiplex } from '../../engine/demux.js';
import { faultIn, messageOf } from '../../engine/errors.js';
import type { ActiveCall } from '../../contracts/active-call.js';
import type { Output } from '../../contracts/output.js';
import { exited, failed, notStarted, type Verdict } from '../../contracts/verdict.js';

/** Exit code of a process that the kernel, or somebody, killed outright: 128 + SIGKILL. */
export const SIGKILLED = 137;
/** Exit codes of what the OCI runtime could not execute: in a container that runs, and as the first process of one. */
const OCI_REFUSED = 126;
const OCI_INIT_FAILED = 1;
/** What the engine's init (tini) says of a program that is not there, and its exit code. */
const INIT_REFUSED = 127;
const INIT_SAYS = /^\[FATAL tini \(\d+\)\] exec (\S+) failed: ([^\n]*)\n$/;
/** Bytes of the runtime's words that become a message. */
const MOST_SAID = 8192;

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
  output: Output,
  explain: () => Promise<CallError | undefined>,
): Promise<Verdict> {
  const refusal = refusalIn(exitCode, output);
  if (refusal !== undefined) return notStarted(refusal);
  const cause = exitCode === SIGKILLED ? await explain() : undefined;
  return cause === undefined ? exited(exitCode) : failed(cause, exitCode);
}

/**
 * Why the command was not executed, in the words of the OCI runtime: those of its process in the container are on
 * stderr, those about a further process are where that would have written.
 */
function refusalIn(exitCode: number, output: Output): string | undefined {
  const { result, logs } = output;
  if (exitCode === OCI_REFUSED && result.byteLength > 0) {
    const said = /^(OCI runtime exec failed: |unable to find (?:user|group) )[^]*/.exec(
      text(result.subarray(0, MOST_SAID)),
    );
    if (said === null) return undefined;
    output.dropResult();
    return faultIn(said[0]) ?? messageOf(said[0]);
  }
  if (exitCode === INIT_REFUSED) {
    const [, program, reason] = INIT_SAYS.exec(text(logs)) ?? [];
    return program === undefined ? undefined : `${program}: ${reason}`;
  }
  if (exitCode !== OCI_INIT_FAILED || result.byteLength > 0) return undefined;
  const [, program = '', reason = ''] = /^exec (\S+): ([^\n]*)\n$/.exec(text(logs)) ?? [];
  if (program === '') return undefined;
  // That the program itself is there was looked at before.
  return reason.includes('no such file') ? `${program}: its interpreter: ${reason}` : `${program}: ${reason}`;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

import { CommanderError } from 'commander';
import { inspect } from 'node:util';
import { StartRefusal } from '@panal/protocol';
import { explain } from './explain.js';
import { EXIT_USAGE, Failure, messageOf, misuse } from './failure.js';
import { createProgram } from './program.js';
import type { GlobalOptions } from './session.js';
import type { Shell } from './shell.js';

/** Characters that are shown of an unexpected error. */
const MAX_LINE = 300;

/**
 * Runs the `panal` command.
 * @param args what stands behind the command's name
 * @returns the exit code: 0, 1 for a failure, 2 for wrong use and for a setting that is unknown or ill-formed, 130
 * when interrupted
 */
export async function main(args: readonly string[], shell: Shell = process): Promise<number> {
  let exitCode = 0;
  const json = asksForJson(args);
  const program = createProgram(shell, { finish: (code) => (exitCode = code), json });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      // commander has said already, in text, what it found wrong.
      if (json) report(misuse(wrongUse(error)), shell, { json });
      return EXIT_USAGE;
    }
    return report(error, shell, program.opts<GlobalOptions>());
  }
}

/** Ends the process for an error that no verb was there to catch, such as one of a stream, as `main` does. */
export function endOnUncaught(args: readonly string[]): void {
  process.on('uncaughtException', (error) => {
    const options = { json: asksForJson(args), debug: args.includes('--debug') };
    process.exit(report(error, process, options));
  });
}

function wrongUse({ code, message }: CommanderError): string {
  return code === 'commander.help' ? 'no verb was given' : message.replace(/^error: /, '');
}

/** Whether `--json` is among the options, also of a command line that is wrong. */
function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return args.slice(0, end < 0 ? undefined : end).includes('--json');
}

/** Says on stderr what went wrong, in one line. @returns the exit code */
function report(error: unknown, shell: Shell, { json = false, debug = false }: GlobalOptions): number {
  const known = failureFor(error);
  if (known.code === 'INTERRUPTED') return known.exitCode;
  shell.stderr.write(json ? asJson(known) : asText(known));
  if (debug || (shell.env.PANAL_DEBUG ?? '') !== '') shell.stderr.write(`${inspect(error)}\n`);
  return known.exitCode;
}

function failureFor(error: unknown): Failure {
  const expected = explain(error);
  if (expected !== undefined) return expected;
  if (error instanceof StartRefusal) return new Failure(error.message, { exitCode: error.exitCode });
  // The file system and the network say in one line what they refused; of anything else the place is of interest.
  const [line = ''] = messageOf(error).split('\n', 1);
  if (error instanceof Error && 'syscall' in error) return new Failure(line, { cause: error });
  const message = `something went wrong inside: ${line.slice(0, MAX_LINE)}`;
  return new Failure(message, { code: 'INTERNAL', hint: 'again with --debug it shows where', cause: error });
}

const asText = ({ message, hint }: Failure): string =>
  `panal: ${message}${hint === undefined ? '' : ` — ${hint}`}\n`;

const asJson = ({ code, message, hint }: Failure): string =>
  `${JSON.stringify({ error: { code, message, ...(hint !== undefined && { hint }) } })}\n`;

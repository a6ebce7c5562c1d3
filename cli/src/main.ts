import { CommanderError } from 'commander';
import { StartRefusal } from '@panal/protocol';
import { EXIT_USAGE, Failure } from './failure.js';
import { createProgram } from './program.js';
import type { Shell } from './shell.js';

/**
 * Runs the `panal` command.
 * @param args what stands behind the command's name
 * @returns the exit code: 0, 1 for a failure, 2 for wrong use and for a setting that is unknown or ill-formed, 130
 * when interrupted
 */
export async function main(args: readonly string[], shell: Shell = process): Promise<number> {
  let exitCode = 0;
  const program = createProgram(shell, (code) => (exitCode = code));
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    // commander has said already what it found wrong, or has shown the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    const known =
      error instanceof StartRefusal ? new Failure(error.message, { exitCode: error.exitCode }) : error;
    if (!(known instanceof Failure)) throw error;
    if (known.code === 'INTERRUPTED') return known.exitCode;
    shell.stderr.write(program.opts<{ json?: boolean }>().json === true ? asJson(known) : asText(known));
    return known.exitCode;
  }
}

const asText = ({ message, hint }: Failure): string =>
  `panal: ${message}${hint === undefined ? '' : ` — ${hint}`}\n`;

const asJson = ({ code, message, hint }: Failure): string =>
  `${JSON.stringify({ error: { code, message, ...(hint !== undefined && { hint }) } })}\n`;

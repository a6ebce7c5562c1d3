import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/**
 * Runs a program, and gives what it wrote.
 * @throws Error with what it said where it fails, or takes longer than a minute
 */
export async function run(program: string, ...args: string[]): Promise<string> {
  const { stdout } = await execute(program, args, { timeout: 60_000, maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** Whether a program runs, and ends well. */
export async function works(program: string, ...args: string[]): Promise<boolean> {
  try {
    await run(program, ...args);
    return true;
  } catch {
    return false;
  }
}

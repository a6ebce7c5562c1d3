import { execFile } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Where the programs live that functions use. */
export interface Programs {
  /** `PATH` of every call. */
  path: string;
  /** Folders outside of the system's own that this PATH, and what it leads to, needs. */
  prefixes: string[];
}

const SYSTEM_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/**
 * What to ask an interpreter of the worker's PATH for its own folder: what the PATH leads to may be a shim (pyenv,
 * asdf) or a link (nvm) that means nothing without the rest of its installation.
 */
const QUESTIONS: readonly [command: string, ...args: string[]][] = [
  ['python3', '-c', 'import sys; print(sys.base_prefix)'],
  ['node', '-p', 'require("node:path").dirname(require("node:path").dirname(process.execPath))'],
];

/** Finds the interpreters that the worker's own PATH leads to, so that functions get the same ones. */
export async function findPrograms(): Promise<Programs> {
  const found = await Promise.all(
    QUESTIONS.map(async ([command, ...args]) => {
      try {
        return await realpath((await run(command, args, { timeout: 10_000 })).stdout.trim());
      } catch {
        return undefined;
      }
    }),
  );
  const prefixes = [...new Set(found)].filter(
    (prefix) => prefix !== undefined && prefix !== dirname(prefix) && !isOfTheSystem(prefix),
  ) as string[];
  return { path: [...prefixes.map((prefix) => join(prefix, 'bin')), ...SYSTEM_PATH].join(':'), prefixes };
}

function isOfTheSystem(folder: string): boolean {
  return folder === '/usr' || folder.startsWith('/usr/');
}

/** Whether a command can be run, and ends well. */
export async function works(command: string, ...args: string[]): Promise<boolean> {
  try {
    await run(command, args, { timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import ignore from 'ignore';

/** The file in a function's folder that says what is not deployed, in the words of a `.gitignore`. */
export const IGNORE_FILE = '.panalignore';
/** The file in a function's folder that says how it is deployed. */
export const PROJECT_FILE = 'panal.json';

/** What is never part of a function: it is there for people and for this command. */
const NEVER = ['.git/', `/${IGNORE_FILE}`, `/${PROJECT_FILE}`];

/** Whether a path, relative to the folder, is left out; that of a folder ends with a slash. */
export type Ignores = (path: string) => boolean;

/** What `text`, the content of an ignore file, leaves out. */
export function ignoreRules(text: string): Ignores {
  // Like a case-sensitive file system, on every machine.
  const rules = ignore.default({ ignorecase: false }).add(text).add(NEVER);
  return (path) => rules.ignores(path);
}

/** The rules of a folder; of one without an ignore file they leave out next to nothing. */
export async function readIgnoreRules(folder: string): Promise<Ignores> {
  try {
    return ignoreRules(await readFile(join(folder, IGNORE_FILE), 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ignoreRules('');
    throw error;
  }
}

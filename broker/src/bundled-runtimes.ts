import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runtimeSpecSchema, type RuntimeSpec } from '@panal/protocol';

/** The runtimes that come with Panal, one folder each: the package beside this one, in the repository and if installed. */
export const RUNTIMES_DIR = fileURLToPath(new URL('../../runtimes', import.meta.url));

/** Reads every `runtime.json` below `dir`. */
export async function readBundledRuntimes(dir: string): Promise<RuntimeSpec[]> {
  const folders = (await readdir(dir, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  const texts = await Promise.all(folders.map(({ name }) => readIfThere(join(dir, name, 'runtime.json'))));
  return texts.filter((text) => text !== undefined).map((text) => runtimeSpecSchema.parse(JSON.parse(text)));
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Keys are in the folder already. What uses them must not lose them. */
export class KeysInUse extends Error {
  readonly code = 'EEXIST';

  constructor(file: string) {
    super(`${file} is there already, and keys in use must not be lost`);
    this.name = 'KeysInUse';
  }
}

/**
 * Writes files that only their owner may read, by name and content.
 * @returns their names
 * @throws KeysInUse if one of them is there already; nothing is written then
 */
export async function writeSecrets(
  folder: string,
  files: Readonly<Record<string, string>>,
): Promise<string[]> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const there = (await readdir(folder)).find((name) => Object.hasOwn(files, name));
  if (there !== undefined) throw new KeysInUse(join(folder, there));
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder, name), `${content}\n`, { mode: 0o600, flag: 'wx' });
  }
  return Object.keys(files);
}

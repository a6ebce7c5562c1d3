import { open } from 'node:fs/promises';

/** Puts on disk which names a folder has: a file that was made, renamed or removed in it is after a power cut, too. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  await folder.sync().finally(() => folder.close());
}

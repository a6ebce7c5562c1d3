import { execFile } from 'node:child_process';

/** `du` has to be done by then, in ms; what it has found counts. */
const DU_WITHIN_MS = 60_000;
const KiB = 1024;

/** Bytes of disk that each folder takes, by its path; without those that are gone. */
export async function diskUse(folders: readonly string[]): Promise<Map<string, number>> {
  if (folders.length === 0) return new Map();
  const lines = await new Promise<string>((resolve) => {
    // Another program's walk, for what it walks is hostile and large: it goes from descriptor to descriptor, past links
    // that appear meanwhile, and not on our event loop. It fails when files vanish under it, and says the rest.
    execFile(
      'du',
      ['-skx', '--', ...folders],
      { timeout: DU_WITHIN_MS, env: { PATH: process.env.PATH } },
      (_, out) => resolve(out),
    );
  });
  const found = lines.matchAll(/^(\d+)\t(.*)$/gm);
  return new Map([...found].map(([, size, folder]) => [folder ?? '', Number(size) * KiB]));
}

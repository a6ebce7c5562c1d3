import { execFile } from 'node:child_process';
import { chmod, lstat, mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Copies the folder `from`, whose content may be a function's, to `to`, which must not exist. Links stay links and are
 * never followed; pipes and sockets are copied as well; modes, times and, as root, owners stay.
 */
export async function copyTree(from: string, to: string): Promise<void> {
  await walk('cp', '-a', '--', from, to);
}

/**
 * Removes `paths` with all that is below them, and follows no link. A function may have left folders that their own user
 * cannot enter; only root needs no leave.
 */
export async function removeTree(...paths: string[]): Promise<void> {
  if (paths.length === 0) return;
  try {
    await walk('rm', '-rf', '--', ...paths);
  } catch {
    await openTree(...paths).catch(() => undefined);
    await walk('rm', '-rf', '--', ...paths);
  }
}

/** Lets the user of all that is below `paths` read it, and enter its folders; follows no link. */
export async function openTree(...paths: string[]): Promise<void> {
  await walk('chmod', '-R', 'u+rwX', '--', ...paths);
}

/** Lets everyone read all that is below `paths`, and its own user alone write it; follows no link. */
export async function shareTree(...paths: string[]): Promise<void> {
  await walk('chmod', '-R', 'u+rwX,go+rX,go-w', '--', ...paths);
}

/** Makes `uid` the user and group of all that is below `paths`; follows no link. Without `uid` nothing changes. */
export async function giveTree(uid: number | undefined, ...paths: string[]): Promise<void> {
  if (uid !== undefined) await walk('chown', '-hR', '--', `${uid}:${uid}`, ...paths);
}

/** Makes folders that everyone may enter, and their own user write, whatever the umask. */
export async function makeFolders(...paths: string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(path);
    await chmod(path, 0o755);
  }
}

/** Whether there is a folder at `path`, and no link to one. */
export async function isFolder(path: string): Promise<boolean> {
  return await lstat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/**
 * Programs of the system walk such trees, not Node.js: they go from descriptor to descriptor, so that nothing that
 * changes meanwhile leads them elsewhere, and they keep no turn of our event loop.
 */
async function walk(program: string, ...args: string[]): Promise<void> {
  const PATH = `${process.env.PATH ?? ''}:/usr/bin:/bin`;
  await run(program, args, { env: { PATH, LC_ALL: 'C' } });
}

import { mkdir, readdir, readlink } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { copyTree, giveTree, makeFolders, removeTree } from '@panal/support';
import type { FunctionFolder } from './function-folder.js';
import type { Folders, Machine } from './launcher.js';

/** The folder of one sandbox, removed with it. */
export interface SandboxFolder extends Folders {
  root: string;
  /** For the socket of the runtime protocol. */
  socket: string;
}

/**
 * Makes `root` with a copy of the function's own: what one sandbox writes no other sees. Under bubblewrap the installed
 * home is not copied but shared, read-only, in a home that is otherwise the sandbox's own.
 */
export async function makeSandboxFolder(
  root: string,
  from: FunctionFolder,
  machine: Machine,
): Promise<SandboxFolder> {
  const folder = {
    root,
    code: join(root, 'code'),
    home: join(root, 'home'),
    tmp: join(root, 'tmp'),
    socket: join(root, 'socket'),
  };
  await mkdir(root, { recursive: true, mode: 0o700 });
  await Promise.all([
    makeFolders(folder.tmp, folder.socket),
    copyTree(from.code, folder.code),
    machine.bubblewrap ? makeFolders(folder.home) : copyTree(from.home, folder.home),
  ]);
  await giveTree(from.uid, folder.tmp, folder.socket, folder.home);
  return folder;
}

/**
 * Removes the folders of sandboxes under `root`, but those to `keep`, and kills processes that still work in them: a
 * worker that was killed could not.
 */
export async function removeLeftovers(root: string, keep: ReadonlySet<string>): Promise<void> {
  const left = (await readdir(root)).filter((name) => !keep.has(name)).map((name) => join(root, name));
  if (left.length === 0) return;
  await killWorkingIn(left);
  await removeTree(...left);
}

async function killWorkingIn(folders: readonly string[]): Promise<void> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    if (!folders.some((folder) => cwd.startsWith(folder + sep))) continue;
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It is gone already.
    }
  }
}

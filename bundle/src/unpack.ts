import { chmod, link, mkdir, open, symlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { BundleFormat } from '@panal/protocol';
import type { BundleLimits } from './limits.js';
import type { Step } from './tree.js';
import { walk } from './walk.js';

const FOLDER_MODE = 0o755;

/**
 * Unpacks the archive at `path` into `targetDir`, which is made where it is missing, must be empty and nobody else's
 * meanwhile. Files are the caller's own and readable by all, whatever its umask, executable or not as in the archive;
 * other mode bits, owners and times are not kept. When it throws, what was unpacked until then stays there.
 * @throws PanalError as `inspect` does.
 */
export async function unpack(
  path: string,
  format: BundleFormat,
  targetDir: string,
  limits: BundleLimits,
): Promise<void> {
  await mkdir(targetDir, { recursive: true });
  await chmod(targetDir, FOLDER_MODE);
  let file: FileHandle | undefined;
  try {
    for await (const step of walk(path, format, limits)) {
      if (step instanceof Uint8Array) {
        await file?.appendFile(step);
      } else {
        await file?.close();
        file = await make(step, targetDir);
      }
    }
  } finally {
    await file?.close();
  }
}

/** Makes what the step says, and fails where something is already there; gives a file open for its content. */
async function make(step: Step, root: string): Promise<FileHandle | undefined> {
  const place = join(root, step.path);
  switch (step.kind) {
    case 'file':
      return await makeFile(place, step.executable ? 0o755 : 0o644);
    case 'directory':
      await mkdir(place);
      await chmod(place, FOLDER_MODE);
      return undefined;
    case 'symlink':
      await symlink(step.target, place);
      return undefined;
    case 'link':
      await link(join(root, step.target), place);
      return undefined;
  }
}

async function makeFile(place: string, mode: number): Promise<FileHandle> {
  const file = await open(place, 'wx', mode);
  try {
    await file.chmod(mode);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

import { access, constants, mkdir, stat } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import { PanalError } from './errors.js';
import { StartRefusal } from './start-refusal.js';

/**
 * Makes the data folder, with the folders above it, if it is missing, and looks whether this process can write there.
 * @throws StartRefusal if it cannot
 */
export async function openDataDir(dataDir: string): Promise<void> {
  try {
    await makeFolder(dataDir);
    if (!(await stat(dataDir)).isDirectory()) throw refusal(dataDir, 'is a file, not a folder');
    // On a read-only disk this fails for root, too, whom permissions do not stop.
    await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw dataDirFailure(dataDir, error);
  }
}

/**
 * An error of the file system that concerns the data folder, as one line that names the setting and says what is wrong:
 * a `StartRefusal`, or a `PanalError` if the disk is full, for that passes. Any other error as it is.
 */
export function dataDirFailure(dataDir: string, error: unknown): unknown {
  if (!(error instanceof Error && 'code' in error && 'path' in error)) return error;
  const path = resolve(String(error.path));
  const isBelow = path.startsWith(dataDir + sep);
  if (!isBelow && path !== dataDir && !dataDir.startsWith(path + sep)) return error;
  const code = String(error.code);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new PanalError('STORE_UNAVAILABLE', `FAAS_DATA_DIR ${dataDir}: the disk is full`, {
      cause: error,
    });
  }
  return refusal(isBelow ? path : dataDir, REASONS[code] ?? error.message, error);
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'is not to be read and written by the user of this process',
  EPERM: 'is not to be read and written by the user of this process',
  EROFS: 'is on a read-only disk',
  EISDIR: 'is a folder, not a file',
  EEXIST: 'is a file, not a folder',
  ENOTDIR: 'is a file, or is below one',
  ENOENT: 'cannot be made there, or is a link that leads nowhere',
  ELOOP: 'is a link that leads to itself',
  ENAMETOOLONG: 'has too long a name',
};

function refusal(path: string, why: string, cause?: unknown): StartRefusal {
  const advice = 'set FAAS_DATA_DIR to a folder that this process can write';
  return new StartRefusal(`FAAS_DATA_DIR cannot be used: ${path} ${why}; ${advice}`, { cause });
}

/** As `mkdir -p`. The recursive `mkdir` of Node.js never ends in folders where none can be made, such as `/proc`. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await mkdir(path);
  }
}

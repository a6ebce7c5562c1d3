import { randomBytes } from 'node:crypto';
import { chmod, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '@panal/support';
import { ConfigError } from '@panal/protocol';

const MIN_LENGTH = 32;
const SECRET_BYTES = 32;
/** For its owner alone. */
const MODE = 0o600;

/**
 * The secret that tokens are signed with: `given`, or the one in the file `jwt-secret` of `dataDir`, which is made
 * where it is missing and kept from others.
 * @throws ConfigError where the file holds no secret
 */
export async function jwtSecret(dataDir: string, given: string | undefined): Promise<string> {
  if (given !== undefined) return given;
  const path = join(dataDir, 'jwt-secret');
  const secret = (await read(path)) ?? (await make(dataDir, path));
  if (secret.length < MIN_LENGTH) {
    throw new ConfigError(`${path} holds no secret of ${MIN_LENGTH} characters; remove it to have one made`);
  }
  return secret;
}

async function read(path: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) await chmod(path, MODE);
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes it beside, and moves it in place whole. */
async function make(dataDir: string, path: string): Promise<string> {
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const draft = `${path}.new`;
  await rm(draft, { force: true });
  const file = await open(draft, 'wx', MODE);
  try {
    await file.writeFile(`${secret}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  await syncFolder(dataDir);
  return secret;
}

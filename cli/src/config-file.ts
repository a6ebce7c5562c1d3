import { readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { Failure, messageOf } from './failure.js';
import type { Environment } from './local-cluster.js';

const loginSchema = z.object({
  url: z.string(),
  user: z.string(),
  token: z.string(),
  /** RFC 3339. */
  expiresAt: z.string(),
});

/** Where somebody is logged in, and with what. */
export type Login = z.infer<typeof loginSchema>;

/** The file in which `panal login` keeps a login; only its owner may read it. */
export class ConfigFile {
  readonly path: string;

  constructor(env: Environment) {
    // The XDG Base Directory Specification: unset, empty and relative ones do not count.
    const base = env.XDG_CONFIG_HOME?.startsWith('/') === true ? env.XDG_CONFIG_HOME : undefined;
    this.path = join(base ?? join(env.HOME ?? homedir(), '.config'), 'panal', 'config.json');
  }

  /** @throws Failure when the file is there and cannot be read. */
  read(): Login | undefined {
    try {
      return loginSchema.parse(JSON.parse(readFileSync(this.path, 'utf8')));
    } catch (error) {
      if (isMissing(error)) return undefined;
      const why =
        error instanceof z.ZodError || error instanceof SyntaxError ? 'is damaged' : messageOf(error);
      throw new Failure(`${this.path} ${why}`, {
        hint: 'remove it, and log in again: panal login',
        cause: error,
      });
    }
  }

  async write(login: Login): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    const next = `${this.path}.${process.pid}`;
    await writeFile(next, `${JSON.stringify(login, undefined, 2)}\n`, { mode: 0o600 });
    await rename(next, this.path);
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');

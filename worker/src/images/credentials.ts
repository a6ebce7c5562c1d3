import { readFile } from 'node:fs/promises';
import { messageOf } from '../engine/errors.js';

/** How the engine is told who asks a registry (its header `X-Registry-Auth`). Empty: nobody in particular. */
export interface RegistryAuth {
  username?: string;
  password?: string;
  identitytoken?: string;
  serveraddress?: string;
}

/** What references without a host mean, and how `docker login` calls it. */
const DEFAULT_REGISTRY = 'docker.io';
const DEFAULT_REGISTRY_KEYS = ['index.docker.io', 'docker.io', 'registry-1.docker.io'];

/**
 * Credentials of registries, in a file as `docker login` writes it (`{"auths":{"HOST":{"auth":"BASE64"}}}`), which is
 * also what a Kubernetes secret of type `dockerconfigjson` holds. Read each time, so that it can be replaced. Helpers
 * (`credsStore`, `credHelpers`) are not asked: they are programs of the machine on which somebody logged in.
 */
export class Credentials {
  readonly #path: string | undefined;

  constructor(path: string | undefined) {
    this.#path = path;
  }

  /**
   * Those for the registry of this image.
   * @throws Error where the file cannot be read, or is none
   */
  async for(reference: string): Promise<RegistryAuth> {
    if (this.#path === undefined) return {};
    const host = registryOf(reference);
    const keys = host === DEFAULT_REGISTRY ? DEFAULT_REGISTRY_KEYS : [host];
    const entries = Object.entries(await readAuths(this.#path));
    const entry = entries.find(([key]) => keys.includes(hostIn(key)));
    return entry === undefined ? {} : parseEntry(entry[1], entry[0]);
  }

  /** @throws Error as `for` does; to be asked when the worker starts */
  async check(): Promise<void> {
    if (this.#path !== undefined) await readAuths(this.#path);
  }
}

/** Host and port of the registry that a reference names, as the engine reads it. */
export function registryOf(reference: string): string {
  const [first = '', ...rest] = reference.split('/');
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return isHost ? first : DEFAULT_REGISTRY;
}

/** `https://HOST/v1/` is how older files write a host. */
const hostIn = (key: string): string => key.replace(/^https?:\/\//, '').replace(/\/.*$/, '');

async function readAuths(path: string): Promise<Record<string, unknown>> {
  try {
    const content: unknown = JSON.parse(await readFile(path, 'utf8'));
    const auths = fieldOf(content, 'auths');
    if (typeof auths === 'object' && auths !== null) return { ...auths };
  } catch (cause) {
    // Its own words may quote the file.
    const why = cause instanceof SyntaxError ? 'it is not JSON' : messageOf(cause);
    throw new Error(`cannot read credentials of registries from ${path}: ${why}`, { cause });
  }
  throw new Error(`there are no "auths" in ${path}`);
}

function parseEntry(entry: unknown, serveraddress: string): RegistryAuth {
  const token = fieldOf(entry, 'identitytoken');
  if (typeof token === 'string' && token !== '') return { identitytoken: token, serveraddress };
  const [user, given] = [fieldOf(entry, 'username'), fieldOf(entry, 'password')];
  if (typeof user === 'string' && typeof given === 'string') {
    return { username: user, password: given, serveraddress };
  }
  const auth = fieldOf(entry, 'auth');
  const [, username, password] =
    /^([^:]*):([^]*)$/.exec(typeof auth === 'string' ? Buffer.from(auth, 'base64').toString() : '') ?? [];
  return username === undefined || password === undefined ? {} : { username, password, serveraddress };
}

function fieldOf(value: unknown, field: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, field) : undefined;
}

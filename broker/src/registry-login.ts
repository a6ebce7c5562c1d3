import { randomBytes } from 'node:crypto';
import { hash } from 'bcryptjs';
import { writeSecrets } from './secret-files.js';

const USER = 'panal';
/** As `htpasswd -B` has it: the password is random, so nobody guesses it, and a registry hashes it for each request. */
const COST = 5;

/**
 * Makes a login for the registry of a cluster: `registry_htpasswd` for the registry (of Apache's form, by bcrypt), and
 * `registry_auth` for the workers, which is what `docker login` would write.
 * @param addresses under which workers and their engines know the registry, as in `FAAS_REGISTRY`
 * @returns the names of the files, which are in `folder`
 * @throws KeysInUse if one of them is there already; nothing is made then
 */
export async function makeRegistryLogin(folder: string, addresses: readonly string[]): Promise<string[]> {
  const password = randomBytes(32).toString('base64url');
  const auth = Buffer.from(`${USER}:${password}`).toString('base64');
  const auths = Object.fromEntries(addresses.map((address) => [address.replace(/\/.*$/, ''), { auth }]));
  return await writeSecrets(folder, {
    registry_htpasswd: `${USER}:${await hash(password, COST)}`,
    registry_auth: JSON.stringify({ auths }),
  });
}

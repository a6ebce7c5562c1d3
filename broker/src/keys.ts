import { randomBytes } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { curveKeyPair } from 'zeromq';

/** Keys are in the folder already. What uses them must not lose them. */
export class KeysInUse extends Error {
  readonly code = 'EEXIST';

  constructor(file: string) {
    super(`${file} is there already, and keys in use must not be lost`);
    this.name = 'KeysInUse';
  }
}

/**
 * Makes what a cluster beyond one machine needs to be closed: a pair of CURVE keys (Z85) for the broker and one for its
 * workers, and a secret that signs tokens. Each is a file of its own in `folder`, named for its setting, that its owner
 * alone may read.
 * @returns the names of the files
 * @throws KeysInUse if one of them is there already; nothing is made then
 */
export async function makeKeys(folder: string): Promise<string[]> {
  const server = curveKeyPair();
  const client = curveKeyPair();
  const files = {
    curve_server_secret: server.secretKey,
    curve_server_public: server.publicKey,
    curve_client_secret: client.secretKey,
    curve_client_public: client.publicKey,
    jwt_secret: randomBytes(48).toString('base64url'),
  };
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const there = (await readdir(folder)).find((name) => Object.hasOwn(files, name));
  if (there !== undefined) throw new KeysInUse(join(folder, there));
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder, name), `${content}\n`, { mode: 0o600, flag: 'wx' });
  }
  return Object.keys(files);
}

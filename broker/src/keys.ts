import { randomBytes } from 'node:crypto';
import { curveKeyPair } from '@panal/transport/zeromq';
import { writeSecrets } from './secret-files.js';

export { makeRegistryLogin } from './registry-login.js';
export { KeysInUse } from './secret-files.js';

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
  return await writeSecrets(folder, {
    curve_server_secret: server.secretKey,
    curve_server_public: server.publicKey,
    curve_client_secret: client.secretKey,
    curve_client_public: client.publicKey,
    jwt_secret: randomBytes(48).toString('base64url'),
  });
}

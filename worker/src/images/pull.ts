import type Docker from 'dockerode';
import { messageOf, statusOf } from '../engine/errors.js';
import { followProgress } from '../engine/progress.js';
import { FunctionError, PlatformError } from '../errors.js';
import type { Credentials } from './credentials.js';

/** How engines and registries say that there is no such image, or none for us; a registry without a host has none. */
const UNKNOWN = [
  'not found',
  'no such host',
  'denied',
  'manifest unknown',
  'name unknown',
  'does not exist',
  'unauthorized',
  'invalid reference format',
  'no matching manifest',
];

/**
 * Pulls an image and waits until all of it is there.
 * @throws FunctionError `IMAGE_NOT_FOUND`, PlatformError `IMAGE_PULL_FAILED`
 */
export async function pull(
  docker: Docker,
  reference: string,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<void> {
  try {
    const authconfig = await credentials.for(reference);
    await followProgress(await docker.pull(reference, { authconfig, abortSignal: signal }));
  } catch (cause) {
    throw pullFailure(reference, cause);
  }
}

/** Digest of what the registry has under this name; `undefined`: it answers without one. Throws what the engine says. */
export async function digestInRegistry(
  docker: Docker,
  reference: string,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<string | undefined> {
  const options = { authconfig: await credentials.for(reference), abortSignal: signal };
  const found: unknown = await docker.getImage(reference).distribution(options);
  if (typeof found !== 'object' || found === null || !('Descriptor' in found)) return undefined;
  const { Descriptor: descriptor } = found;
  if (typeof descriptor !== 'object' || descriptor === null || !('digest' in descriptor)) return undefined;
  return String(descriptor.digest);
}

function pullFailure(reference: string, cause: unknown): FunctionError | PlatformError {
  const message = messageOf(cause);
  const status = statusOf(cause);
  const said = message.toLowerCase();
  if (status === 404 || status === 400 || UNKNOWN.some((words) => said.includes(words))) {
    return new FunctionError('IMAGE_NOT_FOUND', `no image ${reference}: ${message}`);
  }
  return new PlatformError('IMAGE_PULL_FAILED', `pulling ${reference}: ${message}`, { cause });
}

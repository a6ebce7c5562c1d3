import { readdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type Docker from 'dockerode';
import { removeTree } from '@panal/support';
import { statusOf } from './errors.js';

/** The host name that an engine gives a container: the beginning of its id. */
const CONTAINER = /^[0-9a-f]{12}$/;

/**
 * Removes the data folders of workers whose containers are gone, where workers share a volume and each has a folder in it
 * that is named for its container. Does nothing if this worker's folder is not such a one, or its container is another
 * engine's.
 */
export async function removeLeftFolders(docker: Docker, dataDir: string, host = hostname()): Promise<void> {
  if (basename(dataDir) !== host || !CONTAINER.test(host) || !(await exists(docker, host))) return;
  const volume = dirname(dataDir);
  for (const entry of await readdir(volume, { withFileTypes: true })) {
    if (!entry.isDirectory() || !CONTAINER.test(entry.name) || (await exists(docker, entry.name))) continue;
    await removeTree(join(volume, entry.name));
  }
}

async function exists(docker: Docker, container: string): Promise<boolean> {
  try {
    await docker.getContainer(container).inspect();
    return true;
  } catch (error) {
    if (statusOf(error) === 404) return false;
    throw error;
  }
}

import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import type Docker from 'dockerode';
import { statusOf } from './errors.js';

/** A folder of this process and where the engine's machine has it. */
export interface Mount {
  Source: string;
  Destination: string;
}

/** Says where the engine's machine has a path of ours, which it needs to mount it into another container. */
export type ToHost = (path: string) => string;

// The engine gives every container its own /etc/hostname, from a folder named by the container's id. The root of a
// mount (4th field) is that file, seen from the engine's machine; proc(5).
const OWN_ID = /\/containers\/([0-9a-f]{64})\/\S* \/etc\/host(?:name|s) /;

/**
 * Finds out how paths in `folder` are to be named to the engine: as they are where this process runs beside it, through
 * the mounts of its own container where it runs in one. `undefined` where the engine cannot see them: it is on another
 * machine, or the folder is in no volume.
 */
export async function hostPaths(docker: Docker, folder: string): Promise<ToHost | undefined> {
  // A unix socket does not lead through the virtual machine in which other systems keep their engine.
  if (!isLocal(docker) || process.platform !== 'linux') return undefined;
  const id = OWN_ID.exec(await readFile('/proc/self/mountinfo', 'utf8'))?.[1];
  if (id === undefined) return (path) => path;
  try {
    const { Mounts } = await docker.getContainer(id).inspect();
    return throughMounts(Mounts, folder);
  } catch (error) {
    // Our container is another engine's.
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

/** Translates paths in `folder` by the innermost mount that holds it; `undefined` where none does. */
export function throughMounts(mounts: readonly Mount[], folder: string): ToHost | undefined {
  const mount = mounts
    .filter(({ Destination }) => isWithin(Destination, folder))
    .sort((a, b) => b.Destination.length - a.Destination.length)[0];
  if (mount === undefined) return undefined;
  return (path) => posix.join(mount.Source, posix.relative(mount.Destination, path));
}

function isWithin(outer: string, inner: string): boolean {
  const path = posix.relative(outer, inner);
  return path !== '..' && !path.startsWith('../');
}

function isLocal(docker: Docker): boolean {
  const modem: unknown = docker.modem;
  return (
    typeof modem === 'object' && modem !== null && 'socketPath' in modem && modem.socketPath !== undefined
  );
}

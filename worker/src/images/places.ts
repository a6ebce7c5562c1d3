import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { Parser } from 'tar';
import { removeContainer } from '../engine/container.js';
import { statusOf } from '../engine/errors.js';
import { LABEL } from '../engine/labels.js';
import type { Image } from './image.js';

/** Folders that a container has from the kernel, the engine or the worker. */
const TAKEN = ['/proc', '/sys', '/dev', '/.panal'];

/** Says at which paths an image has nothing, so that a folder mounted there hides nothing of it. Asks once for each. */
export class Places {
  readonly #docker: Docker;
  readonly #workerId: string;
  readonly #known = new Map<string, Promise<boolean>>();

  constructor(docker: Docker, workerId: string) {
    this.#docker = docker;
    this.#workerId = workerId;
  }

  /** Whether the image has nothing at `path`, or an empty folder. */
  async isEmpty(image: Image, path: string): Promise<boolean> {
    if (!isPlain(path)) return false;
    const key = `${image.id} ${path}`;
    let known = this.#known.get(key);
    if (known === undefined) {
      known = this.#look(image, path);
      this.#known.set(key, known);
      known.catch(() => this.#known.delete(key));
    }
    return await known;
  }

  async #look(image: Image, path: string): Promise<boolean> {
    // The engine shows what is in a container, not in an image; this one is never started.
    const container = await this.#docker.createContainer({
      name: `panal-look-${randomBytes(6).toString('hex')}`,
      Image: image.id,
      Entrypoint: ['/'],
      Labels: { [LABEL.worker]: this.#workerId, [LABEL.kind]: 'build' },
      NetworkDisabled: true,
    });
    try {
      return await isEmptyFolder(Readable.from(await container.getArchive({ path })));
    } catch (error) {
      if (statusOf(error) === 404) return true;
      throw error;
    } finally {
      await removeContainer(container);
    }
  }
}

/** Whether something can be mounted at it at all, and no other name of it is meant. */
function isPlain(path: string): boolean {
  if (!path.startsWith('/') || path === '/' || posix.normalize(path) !== path || path.endsWith('/'))
    return false;
  return !TAKEN.some((taken) => path === taken || path.startsWith(`${taken}/`));
}

/** Whether a tar archive holds one folder and nothing else. */
async function isEmptyFolder(stream: Readable): Promise<boolean> {
  return await new Promise<boolean>((resolve, reject) => {
    const settle = (empty: boolean): void => {
      resolve(empty);
      stream.destroy();
    };
    let folders = 0;
    const parser = new Parser({
      onReadEntry: (entry) => {
        entry.resume();
        folders++;
        if (folders > 1 || entry.type !== 'Directory') settle(false);
      },
    });
    stream.on('error', reject);
    parser.on('error', reject);
    parser.on('end', () => settle(folders === 1));
    stream.on('data', (chunk: Buffer) => parser.write(chunk));
    stream.on('end', () => parser.end());
  });
}

import { createHash } from 'node:crypto';
import type Docker from 'dockerode';
import { statusOf } from '../engine/errors.js';
import { LABEL } from '../engine/labels.js';
import type { Cache, CacheEntry } from '../cache/cache-keeper.js';
import { tagImage, type Image } from './image.js';

/** What the engine really answers: it sends as null what an image does not have. */
interface Listed {
  Id: string;
  ParentId: string;
  Created: number;
  Size: number;
  Labels?: Record<string, string> | null | undefined;
  RepoTags?: string[] | null | undefined;
  RepoDigests?: string[] | null | undefined;
}

/** An image that may go, and the names by which it came. */
interface Kept {
  image: Listed;
  names: readonly string[];
}

/** Of images of functions, on the engine alone or in a registry. */
const FUNCTION_NAME = /(^|\/)panal[/-]function:[0-9a-f]{64}$/;
/** A further name of what was pulled for a function, by which workers know that nobody else put it on the engine. */
const PULLED = 'panal/pulled';
const pulledMark = (name: string): string => `${PULLED}:${createHash('sha256').update(name).digest('hex')}`;

/**
 * The images that Panal put on the engine: those that it made of functions, and those that it pulled because a function
 * or a runtime names them. What others put there is none of its business. Workers on one engine share them, and tell each
 * other by the engine when one was last used: it notes when an image got a name.
 */
export class KeptImages implements Cache {
  readonly #docker: Docker;
  /** When this worker used an image, epoch ms by id, until the engine has noted it. */
  readonly #usedAt = new Map<string, number>();

  constructor(docker: Docker) {
    this.#docker = docker;
  }

  /** Something is made of this image. */
  used({ id }: Image): void {
    this.#usedAt.set(id, Date.now());
  }

  /** Notes that `image` was pulled, and by which reference. */
  async pulled(reference: string, { id }: Image): Promise<void> {
    const wanted = [reference, `${reference}:latest`];
    const name = namesOf(await this.#docker.getImage(id).inspect()).find((each) =>
      // The engine leaves the host and the first folder out where they are those of its own registry.
      wanted.some((full) => full === each || full.endsWith(`/${each}`)),
    );
    if (name !== undefined) await tagImage(this.#docker, id, pulledMark(name));
  }

  async entries(): Promise<CacheEntry[]> {
    const since = Date.now();
    const images: Listed[] = await this.#docker.listImages();
    const parents = new Set(images.map(({ ParentId }) => ParentId));
    const kept = images
      .map((image) => ({ image, names: ours(image) }))
      .filter(({ image, names }) => names.length > 0 && !parents.has(image.Id));
    await this.#note(kept, since);
    return kept.map((each) => ({
      bytes: bytesOf(each.image),
      usedAt: () => this.#usedLast(each.image),
      remove: () => this.#remove(each),
    }));
  }

  /** Gives what was used since the last time its name again, which the engine keeps the time of. */
  async #note(kept: readonly Kept[], since: number): Promise<void> {
    for (const { image, names } of kept) {
      const tag = names.find((name) => !name.includes('@'));
      if (tag !== undefined && this.#usedAt.has(image.Id)) await tagImage(this.#docker, image.Id, tag);
    }
    for (const [id, at] of this.#usedAt) if (at <= since) this.#usedAt.delete(id);
  }

  async #usedLast({ Id, Created }: Listed): Promise<number> {
    const noted = await this.#docker
      .getImage(Id)
      .inspect()
      .then(taggedAt, () => 0);
    return Math.max(this.#usedAt.get(Id) ?? 0, noted, 1000 * Created);
  }

  async #remove({ image, names }: Kept): Promise<boolean> {
    if (this.#usedAt.has(image.Id)) return false;
    const containers = await this.#docker.listContainers({ all: true, filters: { ancestor: [image.Id] } });
    if (containers.length > 0) return false;
    try {
      // The last name takes the image with it, unless a container was made of it meanwhile, or it has a name by others.
      for (const name of names) await this.#removeName(name);
      return true;
    } catch (error) {
      if (statusOf(error) === 409) return false;
      throw error;
    }
  }

  /** With the last tag of a repository the engine removes the digests there. */
  async #removeName(name: string): Promise<void> {
    try {
      await this.#docker.getImage(name).remove();
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
    }
  }
}

function namesOf({ RepoTags, RepoDigests }: Pick<Listed, 'RepoTags' | 'RepoDigests'>): string[] {
  return [...(RepoTags ?? []), ...(RepoDigests ?? [])].filter((name) => !name.startsWith('<none>'));
}

/** The names that Panal gave an image, or pulled it by. */
function ours(image: Listed): string[] {
  const names = namesOf(image);
  if (image.Labels?.[LABEL.kind] === 'function') return names.filter((name) => FUNCTION_NAME.test(name));
  const marks = new Set(names.filter((name) => name.startsWith(`${PULLED}:`)));
  return [...names.filter((name) => marks.has(pulledMark(name))), ...marks];
}

/** When the engine last gave an image a name, epoch ms; 0 where it does not say. */
function taggedAt(image: object): number {
  const metadata: unknown = 'Metadata' in image ? image.Metadata : undefined;
  if (typeof metadata !== 'object' || metadata === null || !('LastTagTime' in metadata)) return 0;
  return Date.parse(String(metadata.LastTagTime)) || 0;
}

/** What a function's image adds to that of its runtime, with which it shares the rest. */
function bytesOf({ Labels, Size }: Listed): number {
  const added = Number(Labels?.[LABEL.bytes]);
  return Number.isFinite(added) ? added : Size;
}

import { BadImageReference, canonicalName, parseImageReference } from '@panal/protocol';
import type Docker from 'dockerode';
import { statusOf } from '../engine/errors.js';

/** What the engine knows of an image, as far as containers are started from it. Read once and kept. */
export interface Image {
  /** Digest of its configuration, which names it for good. */
  readonly id: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** `NAME=value` each. */
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Paths for which the engine makes a volume in each container. */
  readonly volumes: readonly string[];
  /** `NAME@DIGEST` of each registry that it was pulled from or pushed to. */
  readonly digests: readonly string[];
}

/** What the engine really answers: it leaves out, or sends as null, what an image does not set. */
interface ImageConfig {
  Entrypoint?: string | string[] | null | undefined;
  Cmd?: string[] | null;
  Env?: string[] | null;
  WorkingDir?: string;
  User?: string;
  Labels?: Record<string, string> | null;
  Volumes?: Record<string, unknown> | null;
}

/**
 * The image of this name, or `undefined` where the engine does not have it. An engine also looks for an id that begins
 * like the name; such an image is not the one that is meant.
 */
export async function inspectImage(docker: Docker, reference: string): Promise<Image | undefined> {
  const name = canonicalOf(reference);
  if (name === undefined) return undefined;
  return await inspect(docker, reference, ({ names }) => names.some((each) => canonicalOf(each) === name));
}

/** The image of this id, or `undefined` where the engine does not have it. */
export async function inspectImageId(docker: Docker, id: string): Promise<Image | undefined> {
  return await inspect(docker, id, (found) => found.id === id);
}

async function inspect(
  docker: Docker,
  asked: string,
  isMeant: (found: { id: string; names: readonly string[] }) => boolean,
): Promise<Image | undefined> {
  try {
    const { Id, Config, RepoDigests, RepoTags } = await docker.getImage(asked).inspect();
    if (!isMeant({ id: Id, names: [RepoTags, RepoDigests].flatMap(listed) })) return undefined;
    const config: ImageConfig = Config;
    return {
      id: Id,
      entrypoint: [config.Entrypoint ?? []].flat(),
      cmd: config.Cmd ?? [],
      env: config.Env ?? [],
      workingDir: config.WorkingDir ?? '',
      user: config.User ?? '',
      labels: config.Labels ?? {},
      volumes: Object.keys(config.Volumes ?? {}),
      digests: listed(RepoDigests),
    };
  } catch (error) {
    // A reference that is none (400) is not here either; the pull says so in words for its owner.
    if (statusOf(error) === 404 || statusOf(error) === 400) return undefined;
    throw error;
  }
}

/**
 * What names this image for good, wherever it is: its digest in the registry of `reference`, or its id if it was neither
 * pulled from there nor pushed.
 */
export function digestOf({ digests, id }: Image, reference: string): string {
  const { domain, path } = parseImageReference(reference);
  return digests.find((each) => canonicalOf(each)?.startsWith(`${domain}/${path}@`)) ?? id;
}

/** The engine says null for none. */
const listed = (names: unknown): string[] => (Array.isArray(names) ? names.map(String) : []);

function canonicalOf(reference: string): string | undefined {
  try {
    return canonicalName(parseImageReference(reference));
  } catch (error) {
    if (error instanceof BadImageReference) return undefined;
    throw error;
  }
}

/** Gives an image a further name, of the form `REPOSITORY:TAG`. */
export async function tagImage(docker: Docker, reference: string, name: string): Promise<void> {
  // A registry's address may have a colon too.
  const colon = name.lastIndexOf(':');
  await docker.getImage(reference).tag({ repo: name.slice(0, colon), tag: name.slice(colon + 1) });
}

/** What names an image: the grammar of `github.com/distribution/reference`, with Docker's default registry. */
export interface ImageReference {
  /** Host of the registry, with its port if it has one; `docker.io` unless the text names another. */
  domain: string;
  /** The repository in that registry. */
  path: string;
  /** `latest` unless the text has a tag or a digest. */
  tag: string | undefined;
  digest: string | undefined;
}

const DEFAULT_DOMAIN = 'docker.io';
const MAX_NAME = 255;
const DOMAIN =
  /^(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])(?:\.(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]))*(?::\d{1,5})?$/;
const PATH = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/;
const ID = /^(?:sha256:[0-9a-f]*|[0-9a-f]{64})$/;

/** The text does not name an image; the message says why. */
export class BadImageReference extends Error {
  constructor(why: string) {
    super(why);
    this.name = 'BadImageReference';
  }
}

/**
 * Parses `[domain/]path[:tag][@digest]`. An image's id is not a reference: which image a part of an id means depends on
 * the engine that is asked.
 * @throws BadImageReference
 */
export function parseImageReference(text: string): ImageReference {
  require(text !== '', 'must not be empty');
  require(/^[\x21-\x7e]*$/.test(text), 'must consist of ASCII characters without spaces');
  require(!ID.test(text), 'must be a reference (NAME, NAME:TAG or NAME@sha256:…), not an id');
  const [named = '', digest, ...more] = text.split('@');
  require(more.length === 0, 'must have one digest at most');
  require(digest === undefined ||
    DIGEST.test(digest), 'has a digest that is not of the form sha256:… with 64 digits');
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  require(tag !== '', 'has an empty tag');
  require(tag === undefined || tag.length <= 128, 'has a tag of more than 128 characters');
  require(tag === undefined ||
    TAG.test(tag), 'has a tag with characters other than letters, digits, _, . and -');
  const { domain, path } = splitName(colon < 0 ? named : named.slice(0, colon));
  return { domain, path, digest, tag: tag ?? (digest === undefined ? 'latest' : undefined) };
}

/** The names by which engines list an image of this reference: the tag's, and the digest's. */
export function canonicalName({ domain, path, tag, digest }: ImageReference): string {
  return `${domain}/${path}${digest === undefined ? `:${tag ?? 'latest'}` : `@${digest}`}`;
}

/** Whether `bound` names one image for good, by its id or by a digest, and a digest in the repository of `reference`. */
export function isImageOf(reference: string, bound: string): boolean {
  if (/^sha256:[0-9a-f]{64}$/.test(bound)) return true;
  try {
    const named = parseImageReference(bound);
    const { domain, path } = parseImageReference(reference);
    return named.digest !== undefined && named.domain === domain && named.path === path;
  } catch (error) {
    if (error instanceof BadImageReference) return false;
    throw error;
  }
}

/** The first part is a domain only if it cannot be a part of a path. */
function splitName(name: string): Pick<ImageReference, 'domain' | 'path'> {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  const isDomain = /[.:]/.test(first) || first === 'localhost';
  const given = isDomain ? first : DEFAULT_DOMAIN;
  const domain = given === 'index.docker.io' ? DEFAULT_DOMAIN : given;
  const rest = isDomain ? name.slice(slash + 1) : name;
  require(DOMAIN.test(domain), `has ${JSON.stringify(domain)} for a registry, which is not a host`);
  require(rest !== '', 'has no repository');
  require(rest === rest.toLowerCase(), 'has a repository with upper-case letters');
  require(PATH.test(rest), 'has a repository that is not of letters, digits and single separators');
  const path = domain === DEFAULT_DOMAIN && !rest.includes('/') ? `library/${rest}` : rest;
  require(domain.length + 1 + path.length <= MAX_NAME, `has a name of more than ${MAX_NAME} characters`);
  return { domain, path };
}

function require(holds: boolean, why: string): void {
  if (!holds) throw new BadImageReference(why);
}

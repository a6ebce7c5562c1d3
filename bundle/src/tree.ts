import { MAX_NAME, unsafe, type Entry } from './entry.js';

/** One thing to make below the root. Its path is relative and clean, and its folder has been made before. */
export type Step =
  | { kind: 'directory'; path: string }
  | { kind: 'file'; path: string; executable: boolean }
  | { kind: 'symlink'; path: string; target: string }
  | { kind: 'link'; path: string; target: string };

/** Longest file name, in bytes (NAME_MAX of Linux). */
const MAX_SEGMENT = 255;

/** Where macOS keeps attributes of the files, under the same names. */
const ARCHIVERS_OWN = '__MACOSX';

/**
 * What an archive makes, entry by entry, and the judge of which entries may be made at all.
 *
 * Nothing is ever made through a symlink, so that every folder is a real one; a symlink may only go up first and
 * then down, and not above the root. Followed step by step, such links stay below the root however they are chained.
 *
 * A file that appears twice is refused: which of the two counts is read differently by different tools.
 */
export class Tree {
  readonly #kinds = new Map<string, 'directory' | 'file' | 'symlink'>();

  /** Files, folders and links so far, with the folders that no entry names. */
  get size(): number {
    return this.#kinds.size;
  }

  /**
   * @returns what to make for this entry, folders first; nothing if it is there already.
   * @throws PanalError `UNSAFE_ARCHIVE`
   */
  add(entry: Entry): Step[] {
    const { name } = entry;
    const segments = cleanPath(name, name);
    const path = segments.join('/');
    if (entry.type === 'sparse') throw unsafe(name, 'is a sparse file; pack it without --sparse');
    if (entry.type === 'other') throw unsafe(name, 'is neither a file nor a folder nor a link');
    if (path === '') {
      if (entry.type === 'directory') return [];
      throw unsafe(name, 'has no name');
    }
    const steps = this.#folders(name, segments.slice(0, -1));
    const known = this.#kinds.get(path);
    if (entry.type === 'directory' && known === 'directory') return steps;
    if (known !== undefined) throw unsafe(name, 'appears twice');

    const step = this.#step(entry, path, segments.length - 1);
    steps.push(step);
    this.#kinds.set(path, step.kind === 'link' ? 'file' : step.kind);
    return steps;
  }

  /**
   * Finds a bundle that was packed with the folder around it.
   * @param begins whether code begins in a file of this name
   * @returns the path of such a file, if there is none at the root and one folder at the root has some
   */
  entryBelowRoot(begins: (name: string) => boolean): string | undefined {
    const found = new Map<string, string>();
    for (const [path, kind] of this.#kinds) {
      const [first = '', second, ...deeper] = path.split('/');
      if (kind === 'directory' || deeper.length > 0 || first === ARCHIVERS_OWN || !begins(second ?? first))
        continue;
      if (second === undefined) return undefined;
      found.set(first, path);
    }
    const [path] = found.values();
    return found.size === 1 ? path : undefined;
  }

  /** Names of the files and links at the root. */
  rootFiles(): string[] {
    return [...this.#kinds].flatMap(([path, kind]) =>
      kind === 'directory' || path.includes('/') ? [] : [path],
    );
  }

  #folders(name: string, segments: readonly string[]): Step[] {
    const steps: Step[] = [];
    let path = '';
    for (const segment of segments) {
      path = path === '' ? segment : `${path}/${segment}`;
      const kind = this.#kinds.get(path);
      if (kind === 'directory') continue;
      if (kind !== undefined) throw unsafe(name, `lies below a ${kind}`);
      this.#kinds.set(path, 'directory');
      steps.push({ kind: 'directory', path });
    }
    return steps;
  }

  #step({ name, type, executable, target }: Entry, path: string, depth: number): Step {
    if (type === 'symlink') return { kind: type, path, target: innerTarget(name, target, depth) };
    if (type === 'link') {
      const file = cleanPath(name, target).join('/');
      if (this.#kinds.get(file) !== 'file') throw unsafe(name, 'is a hard link to no earlier file');
      return { kind: type, path, target: file };
    }
    return type === 'directory' ? { kind: type, path } : { kind: 'file', path, executable };
  }
}

/** The segments of a path that stays below the root it starts from. */
function cleanPath(name: string, path: string): string[] {
  const segments = relativePath(name, path);
  if (segments.includes('..')) throw unsafe(name, 'leaves its folder through ".."');
  return segments;
}

/** A symlink's target as it is to be written, for a link that lies `depth` folders below the root. */
function innerTarget(name: string, target: string, depth: number): string {
  if (target === '') throw unsafe(name, 'links to nothing');
  const segments = relativePath(name, target);
  const down = segments.findIndex((segment) => segment !== '..');
  const up = down === -1 ? segments.length : down;
  if (up > depth) throw unsafe(name, 'links out of its root');
  // Down and up again may lead through another link, and then "up" starts from elsewhere.
  if (segments.includes('..', up)) throw unsafe(name, 'links through ".." after a name');
  return segments.join('/') || '.';
}

/** Segments of a relative path, without those that say nothing. */
function relativePath(name: string, path: string): string[] {
  if (path.includes('\0')) throw unsafe(name, 'has a NUL in its path');
  if (path.includes('\\')) throw unsafe(name, 'has a backslash in its path');
  if (path.startsWith('/') || /^[A-Za-z]:/.test(path)) throw unsafe(name, 'has an absolute path');
  if (Buffer.byteLength(path) > MAX_NAME) throw unsafe(name, `has a path of over ${MAX_NAME} bytes`);
  const segments = path.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (segments.some((segment) => Buffer.byteLength(segment) > MAX_SEGMENT)) {
    throw unsafe(name, `has a name of over ${MAX_SEGMENT} bytes`);
  }
  return segments;
}

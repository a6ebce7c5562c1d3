import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { RuntimeFunctionSpec } from '@panal/protocol';

/** What `dependencies` of a function are made from, if that is less than its bundle. */
export interface DependencyFiles {
  /** Those that the bundle has. */
  readonly names: readonly string[];
  /** Stands for these files, the command and its environment, and the owner: nobody runs what another's made. */
  readonly digest: string;
}

/** A file that is larger takes part with the whole bundle. */
const MOST_BYTES = 4 * 1024 * 1024;

/**
 * The files that the runtime declares as all that its `dependencies` read, found in the unpacked bundle `code`.
 * `undefined` if there may be more: the runtime declares none, or what they say refers to other files.
 * @param image names the runtime's image
 */
export async function dependencyFiles(
  code: string,
  { owner, runtime, settings }: RuntimeFunctionSpec,
  image: string,
): Promise<DependencyFiles | undefined> {
  const { dependencies, dependencyFiles: declared, path } = runtime;
  if (dependencies === undefined || declared === undefined) return undefined;
  const entries = new Set(await readdir(code));
  const names = declared.filter((name) => entries.has(name)).sort();
  const hash = createHash('sha256');
  hash.update(JSON.stringify([owner, image, path, dependencies, settings.env, names]));
  for (const name of names) {
    const text = await contentOf(join(code, name));
    if (text === undefined || !(REFERS_TO_ITSELF[name]?.(text, entries) ?? true)) return undefined;
    hash.update(`${text.length} `).update(text);
  }
  return { names, digest: hash.digest('hex') };
}

/** For files of known tools, whether all that they name is in themselves or in a registry. */
const REFERS_TO_ITSELF: Readonly<Record<string, (text: string, entries: ReadonlySet<string>) => boolean>> = {
  'requirements.txt': (text) => requirementLines(text).every(isFromIndex),
  'package.json': (text, entries) =>
    !entries.has('node_modules') && !entries.has('binding.gyp') && isPlainPackage(text),
  'package-lock.json': (text) => !LOCAL_IN_LOCK.test(text),
  'npm-shrinkwrap.json': (text) => !LOCAL_IN_LOCK.test(text),
  '.npmrc': (text) => !LOCAL_SETTING.test(text),
};

const requirementLines = (text: string): string[] =>
  text
    .replace(/\\\r?\n/g, ' ')
    .split(/\r?\n/)
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '');

/** Options of pip that name no file. */
const PIP_OPTION =
  /^--((extra-)?index-url[ =]https?:\/\/|(trusted-host|no-binary|only-binary)[ =])\S+$|^-i https?:\/\/\S+$|^--(no-index|pre|prefer-binary|require-hashes)$/;
/** `NAME[EXTRA] >=1,<2 ; MARKER --hash=…`, or `NAME @ https://…` (PEP 508). */
const REQUIREMENT =
  /^[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[A-Za-z0-9., _-]*\])?\s*(@\s*(git\+)?https?:\/\/\S+|\(?[<>=!~][^;@/\\]*)?(;[^/\\]*)?(\s--hash[= ]\S+)*$/;
/** A file of this name would stand for the requirement. */
const ARCHIVE = /^[^\s@;]+\.(whl|zip|tar|tgz|tbz|txz|tar\.\w+)($|[\s;])/i;

const isFromIndex = (line: string): boolean =>
  PIP_OPTION.test(line) || (REQUIREMENT.test(line) && !ARCHIVE.test(line));

/** `file:` and `link:` dependencies, and those that npm linked. */
const LOCAL_IN_LOCK = /"(git\+)?(file|link|portal|workspace):|"link"\s*:\s*true/i;
const LOCAL_VERSION = /^(git\+)?(file|link|portal|workspace):|^(\.|~?[/\\]|[a-z]:)|\.(tgz|tar|tar\.gz)$/i;
/** What of npm's configuration names files, or programs. */
const LOCAL_SETTING =
  /(^|[\s:"'])(cafile|certfile|keyfile|globalconfig|userconfig|prefix|script-shell|node-options)["']?\s*(\[\s*\])?\s*=/im;
/** Dependencies that are in the bundle already. */
const BUNDLED = ['bundleDependencies', 'bundledDependencies'];
/** What npm runs when it installs. */
const INSTALL_SCRIPT = /^(pre|post)?(install|prepare|prepublish)$|^dependencies$/;

function isPlainPackage(text: string): boolean {
  const manifest = parsed(text);
  if (manifest === undefined || 'workspaces' in manifest) return false;
  if (BUNDLED.some((name) => name in manifest)) return false;
  if (Object.keys(fieldsOf(manifest.scripts)).some((name) => INSTALL_SCRIPT.test(name))) return false;
  return Object.entries(manifest)
    .filter(([name]) => /dependencies$|^overrides$/i.test(name))
    .every(([, versions]) => textsIn(versions).every((each) => isRemote(each)));
}

const isRemote = (version: string): boolean => /^https?:\/\//.test(version) || !LOCAL_VERSION.test(version);

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? fieldsOf(value) : undefined;
  } catch {
    return undefined;
  }
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}

function textsIn(value: unknown): string[] {
  return typeof value === 'string' ? [value] : Object.values(fieldsOf(value)).flatMap(textsIn);
}

/** The text of a plain file; `undefined` for a link, which may lead elsewhere, or anything else. */
async function contentOf(path: string): Promise<string | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const found = await file.stat();
    return found.isFile() && found.size <= MOST_BYTES ? await file.readFile('latin1') : undefined;
  } catch {
    return undefined;
  } finally {
    await file?.close();
  }
}

import type { FunctionSettings, RuntimeSpec } from '@panal/protocol';

/** A command without anything that only a shell understands. */
const PLAIN_COMMAND = /^[\w./@%+=:, -]+$/;
/** A file's name with an ending, and without a folder. */
const FILE = /^[\w-]+(?:\.[\w-]+)*\.\w+$/;
/** What the loops of the bundled runtimes load. */
const HANDLER = /^handler\.\w+$/;
/** What the bundled runtimes run for each call. */
const COMMAND = /^test\.\w+$/;

/**
 * Whether code of this runtime begins in a file of this name at the root of its bundle: one that `run` names, or that a
 * `handler` loads. Where the commands do not tell, as a script may do anything, no file is.
 */
export function entryPoints({ run, handler }: RuntimeSpec): (name: string) => boolean {
  const words = PLAIN_COMMAND.test(run.trim()) ? run.trim().split(/ +/) : [];
  const files = new Set(words[0] === 'cd' ? [] : words.filter((word) => FILE.test(word)));
  return (name) => files.has(name) || (files.size > 0 && handler !== undefined && HANDLER.test(name));
}

/**
 * What the files at the root of a bundle say about its function, if its owner does not say otherwise: one with a
 * handler, and nothing to run for each call, is hot on a runtime that serves handlers.
 */
export function impliedSettings({ handler }: RuntimeSpec, rootFiles: readonly string[]): FunctionSettings {
  const has = (name: RegExp): boolean => rootFiles.some((file) => name.test(file));
  return handler !== undefined && has(HANDLER) && !has(COMMAND) ? { lifecycle: 'hot' } : {};
}

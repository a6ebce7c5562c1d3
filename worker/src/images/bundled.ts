import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { runtimeSpecSchema } from '@panal/protocol';
import type Docker from 'dockerode';
import { messageOf } from '../engine/errors.js';
import { LABEL } from '../engine/labels.js';
import { followProgress, ProgressError } from '../engine/progress.js';
import { FunctionError, PlatformError } from '../errors.js';
import { archive } from '../engine/archive.js';

/** The image that a Dockerfile builds upon where no other is given: the default of its argument `BASE`. */
const BASE = /^ARG BASE=(\S+)/m;

/** In the folder of a runtime, but not in its image. */
const LEFT_OUT = new Set(['README.md', 'build.mjs', 'examples', 'runtime.json']);

/** A runtime that comes with Panal, as a folder from which its image is built. */
export interface BundledRuntime {
  readonly image: string;
  readonly folder: string;
  /** SHA-256 over all that goes into the image: another one means that the image is to be built anew. */
  readonly context: string;
  /** Reference of the image it builds upon. */
  readonly base: string;
}

/** The bundled runtime whose image this reference is, or `undefined`. */
export async function findBundled(runtimesDir: string, image: string): Promise<BundledRuntime | undefined> {
  const folders = await readdir(runtimesDir, { withFileTypes: true });
  for (const folder of folders.filter((each) => each.isDirectory())) {
    const path = join(runtimesDir, folder.name);
    const spec = await readFile(join(path, 'runtime.json'), 'utf8').catch(() => undefined);
    if (spec === undefined) continue;
    if (runtimeSpecSchema.parse(JSON.parse(spec)).image === withoutLatest(image)) {
      return await readContext(path, withoutLatest(image));
    }
  }
  return undefined;
}

const withoutLatest = (reference: string): string => reference.replace(/:latest$/, '');

async function readContext(folder: string, image: string): Promise<BundledRuntime> {
  const hash = createHash('sha256');
  for (const path of await filesOf(folder)) {
    const content = await readFile(path);
    hash.update(`${relative(folder, path)}\0${content.length}\0`).update(content);
  }
  const base = BASE.exec(await readFile(join(folder, 'Dockerfile'), 'utf8'))?.[1];
  if (base === undefined) throw new Error(`the Dockerfile of ${image} has no line ARG BASE=…`);
  return { image, folder, context: hash.digest('hex'), base };
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !LEFT_OUT.has(relative(folder, path).split('/')[0] ?? ''))
    .sort();
}

/**
 * Builds the image of a bundled runtime; its base must be there.
 * @throws PlatformError
 */
export async function buildBundled(
  docker: Docker,
  bundled: BundledRuntime,
  signal: AbortSignal,
): Promise<void> {
  const entries = (await readdir(bundled.folder)).filter((name) => !LEFT_OUT.has(name));
  try {
    const progress = await docker.buildImage(archive(bundled.folder, entries), {
      t: bundled.image,
      labels: { [LABEL.kind]: 'runtime', [LABEL.context]: bundled.context },
      rm: true,
      forcerm: true,
      abortSignal: signal,
    });
    await followProgress(progress);
  } catch (cause) {
    const output = cause instanceof ProgressError ? `\n${cause.output}` : '';
    const message = `building ${bundled.image}: ${messageOf(cause)}${output}`;
    throw new PlatformError('SANDBOX_FAILED', message, { cause });
  }
}

/** What to tell where the base of a bundled runtime is not to be had. */
export function baseMissing({ image, base, folder }: BundledRuntime, cause: FunctionError): FunctionError {
  return new FunctionError(
    'IMAGE_NOT_FOUND',
    `${image} builds upon ${base}, which is not here and cannot be pulled (${cause.error.message}). ` +
      `Any image with the language's interpreter will do instead: ` +
      `docker build --build-arg BASE=IMAGE --tag ${image} ${relative(process.cwd(), folder)}`,
  );
}

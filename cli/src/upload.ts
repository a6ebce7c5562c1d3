import { ApiError, type FunctionSettings, type FunctionView } from '@panal/client';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { ReadableStream } from 'node:stream/web';
import { all } from './cluster.js';
import { Failure } from './failure.js';
import { instead } from './nearest.js';
import { listFolder, pack } from './pack.js';
import { Progress } from './progress.js';
import type { Session } from './session.js';

/** What is deployed, and as what. */
export interface Deployment {
  folder: string;
  name: string;
  runtime: string;
  settings: FunctionSettings;
}

/** Packs a folder and registers it as the next version of a function. @throws Failure */
export async function deployFolder(session: Session, deployment: Deployment): Promise<FunctionView> {
  const { folder, runtime } = deployment;
  const scratch = await mkdtemp(join(tmpdir(), 'panal-deploy-'));
  try {
    const file = join(scratch, 'module.tar.gz');
    const listing = await listFolder(folder);
    if (listing.entries.length === 0) throw nothingIn(folder);
    await pack(folder, listing, file);
    return await upload(session, deployment, file).catch(async (error: unknown) => {
      throw await withRuntimes(session, runtime, error);
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const nothingIn = (folder: string): Failure =>
  new Failure(`there is nothing to deploy in ${folder}`, {
    hint: 'write a handler.py or handler.mjs there; panal init python NAME makes a folder with one',
  });

/** If there is no such runtime, names those that there are. */
async function withRuntimes({ client }: Session, runtime: string, error: unknown): Promise<unknown> {
  if (!(error instanceof ApiError && error.code === 'RUNTIME_NOT_FOUND')) return error;
  const names = await all(client.runtimes.names()).catch(() => undefined);
  if (names === undefined) return error;
  return new Failure(error.message, { code: error.code, hint: instead(runtime, names), cause: error });
}

async function upload(
  { client, output, shell }: Session,
  { name, runtime, settings }: Deployment,
  path: string,
): Promise<FunctionView> {
  const { size } = await stat(path);
  const progress = output.live ? new Progress(shell.stderr, 'uploading', size) : undefined;
  const module = new FileOnDisk(path, size, progress);
  try {
    return await client.functions.upload({ name, runtime, module, settings });
  } finally {
    progress?.end();
  }
}

/** A file that is read while it is sent, and not held in memory; `progress` counts what was read. */
class FileOnDisk extends File {
  readonly #path: string;
  override readonly size: number;
  readonly #progress: Progress | undefined;

  constructor(path: string, size: number, progress: Progress | undefined) {
    super([], basename(path));
    this.#path = path;
    this.size = size;
    this.#progress = progress;
  }

  override stream(): ReadableStream<Uint8Array> {
    const file: AsyncIterable<Uint8Array> = createReadStream(this.#path);
    return ReadableStream.from(this.#progress?.count(file) ?? file);
  }
}

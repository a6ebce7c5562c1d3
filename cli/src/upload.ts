import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FunctionSettings } from '@panal/protocol';
import { functionSchema, namesSchema, type FunctionView } from './api.js';
import type { RequestOptions } from './client.js';
import { Failure } from './failure.js';
import { instead } from './nearest.js';
import { listFolder, pack } from './pack.js';
import { Progress } from './progress.js';
import { formFields } from './project.js';
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
  const { folder, name, runtime, settings } = deployment;
  const scratch = await mkdtemp(join(tmpdir(), 'panal-deploy-'));
  try {
    const file = join(scratch, 'module.tar.gz');
    const listing = await listFolder(folder);
    if (listing.entries.length === 0) throw nothingIn(folder);
    await pack(folder, listing, file);
    const path = `/registerFunction/${encodeURIComponent(runtime)}/${encodeURIComponent(name)}`;
    return await upload(session, path, file, settings).catch(async (error: unknown) => {
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

/** Where there is no such runtime, which there are. */
async function withRuntimes({ client }: Session, runtime: string, error: unknown): Promise<unknown> {
  if (!(error instanceof Failure && error.code === 'RUNTIME_NOT_FOUND')) return error;
  const names = await client.ask(namesSchema, 'GET', '/runtimes').catch(() => undefined);
  if (names === undefined) return error;
  return new Failure(error.message, { code: error.code, hint: instead(runtime, names), cause: error });
}

async function upload(
  { client, output, shell }: Session,
  path: string,
  file: string,
  settings: FunctionSettings,
): Promise<FunctionView> {
  const { size } = await stat(file);
  const progress = new Progress(shell.stderr, 'uploading', size);
  const stream = createReadStream(file);
  try {
    const body = output.live ? progress.count(stream) : stream;
    return await client.ask(functionSchema, 'POST', path, multipart(formFields(settings), body, size));
  } finally {
    stream.destroy();
    if (output.live) progress.end();
  }
}

/** A form with one file (RFC 7578), which is not held in memory. */
function multipart(
  fields: readonly (readonly [name: string, value: string])[],
  file: AsyncIterable<Uint8Array>,
  size: number,
): RequestOptions {
  const boundary = `panal-${randomUUID()}`;
  const part = (disposition: string): string =>
    `--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`;
  const texts = fields.map(([name, value]) => `${part(`name="${name}"`)}${value}\r\n`);
  const head = Buffer.from(`${texts.join('')}${part('name="module"; filename="module.tar.gz"')}`);
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  async function* body(): AsyncGenerator<Uint8Array, void, undefined> {
    yield head;
    yield* file;
    yield tail;
  }
  return {
    headers: {
      'Content-Type': `multipart/form-data; boundary=${boundary}`,
      'Content-Length': head.byteLength + size + tail.byteLength,
    },
    body: body(),
  };
}

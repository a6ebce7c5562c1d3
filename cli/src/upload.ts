import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FunctionSettings } from '@panal/protocol';
import { functionSchema, type FunctionView } from './api.js';
import type { RequestOptions } from './client.js';
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
    await pack(folder, await listFolder(folder), file);
    const path = `/registerFunction/${encodeURIComponent(runtime)}/${encodeURIComponent(name)}`;
    return await upload(session, path, file, settings);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
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

import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import koaMulter from '@koa/multer';
import { PanalError } from '@panal/protocol';
import { MulterError } from 'multer';
import type { Context } from '../routing/context.js';
import type { RequestMemory } from '../memory/request-memory.js';

/** An uploaded module. */
export interface Upload {
  /** The file it was written to. */
  file: string;
  /** The form's other fields; a value is text, or something else where a field came twice. */
  fields: readonly (readonly [name: string, value: unknown])[];
}

/** Takes one upload and gives it to `use`. The file is removed when that is over, unless it was moved away. */
export type Receiver = (ctx: Context, use: (upload: Upload) => Promise<void>) => Promise<void>;

/** A form has a module, and one field for each setting of a function; some more leave room to say which is unknown. */
const MAX_FIELDS = 32;

/** What the form's decoder puts in place of bytes that are not UTF-8. */
const REPLACEMENT = '\ufffd';

/** Longest field, in bytes: the largest environment as JSON, and more. */
const MAX_FIELD = 128 * 1024;

/** Both in bytes. */
interface UploadLimits {
  body: number;
  bundle: number;
}

/**
 * Takes multipart uploads of one file, in the field `module`, and writes it to `folder` as it comes in.
 * A `Receiver` throws PanalError UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST, BUNDLE_TOO_LARGE,
 * BODY_TOO_LARGE, REQUEST_ABORTED, QUEUE_FULL, STORE_UNAVAILABLE; no file is left then.
 */
export function uploadReceiver(
  folder: string,
  limits: UploadLimits,
  { uploads, bodies }: Pick<RequestMemory, 'uploads' | 'bodies'>,
): Receiver {
  const storage = koaMulter.diskStorage({
    destination: (_request, _file, choose) => choose(null, folder),
    filename(request, file, choose) {
      choose(null, randomBytes(16).toString('hex'));
      // Not before it is being written: until then what is listened to flows away.
      if (!('stream' in file && file.stream instanceof Readable)) return;
      file.stream.on('data', (piece: Buffer) => bodies.passedOn(request, piece.byteLength));
    },
  });
  const form = koaMulter({
    storage,
    limits: {
      files: 1,
      fileSize: limits.bundle,
      fields: MAX_FIELDS,
      fieldSize: maxField(limits),
      headerPairs: MAX_FIELDS,
    },
  }).array('module', 1);

  const receive: Receiver = async (ctx, use) => {
    if (ctx.is('multipart/form-data') !== 'multipart/form-data') {
      throw new PanalError('UNSUPPORTED_MEDIA_TYPE', 'a module is uploaded as multipart/form-data');
    }
    if (Number(ctx.get('Content-Length')) > limits.bundle + limits.body) throw tooLarge(limits.bundle);
    try {
      const parsed: unknown = form(ctx, () => Promise.resolve());
      bodies.count(ctx.req, ctx.state.owner, 0);
      await parsed;
    } catch (error) {
      if (error instanceof PanalError) throw error;
      throw ctx.req.destroyed && !ctx.req.complete ? aborted(error) : refusal(error, limits);
    }
    const [file] = Array.isArray(ctx.files) ? ctx.files : [];
    if (file === undefined) throw new PanalError('INVALID_REQUEST', 'module: the file is missing');
    try {
      await use({ file: file.path, fields: fieldsOf(ctx.request) });
    } finally {
      await rm(file.path, { force: true });
    }
  };
  return async (ctx, use) => {
    const leave = uploads.enter(ctx.state.owner);
    await receive(ctx, use).finally(leave);
  };
}

function fieldsOf(request: object): [string, unknown][] {
  const body = 'body' in request ? request.body : undefined;
  const fields: [string, unknown][] = typeof body === 'object' && body !== null ? Object.entries(body) : [];
  const garbled = fields.find((field) =>
    field.some((text) => typeof text === 'string' && text.includes(REPLACEMENT)),
  );
  if (garbled === undefined) return fields;
  throw new PanalError('INVALID_REQUEST', `${garbled[0]}: must be UTF-8; U+FFFD is written as \\ufffd`);
}

/** What a failed upload is refused with. Multer has by then read the request to its end, and removed the file. */
function refusal(error: unknown, limits: UploadLimits): unknown {
  if (!(error instanceof Error)) return error;
  // Only a failure of the file system names a system call.
  if ('syscall' in error) {
    return new PanalError('STORE_UNAVAILABLE', 'the upload could not be written', { cause: error });
  }
  switch (error instanceof MulterError ? error.code : undefined) {
    case 'LIMIT_FILE_SIZE':
      return tooLarge(limits.bundle);
    case 'LIMIT_FIELD_VALUE':
      return new PanalError('BODY_TOO_LARGE', fieldTooLarge(limits));
    case 'LIMIT_FILE_COUNT':
    case 'LIMIT_UNEXPECTED_FILE':
      return new PanalError('INVALID_REQUEST', 'module: the form must have this one file, and no other');
    default:
      return new PanalError('INVALID_REQUEST', `the form is malformed: ${error.message}`, { cause: error });
  }
}

const maxField = ({ body }: UploadLimits): number => Math.min(body, MAX_FIELD);

function fieldTooLarge(limits: UploadLimits): string {
  const setting = limits.body < MAX_FIELD ? ' (FAAS_MAX_BODY)' : '';
  return `a field of the form is larger than ${maxField(limits)} bytes${setting}`;
}

const tooLarge = (limit: number): PanalError =>
  new PanalError('BUNDLE_TOO_LARGE', `the bundle is larger than ${limit} bytes (FAAS_MAX_BUNDLE)`);

const aborted = (cause: unknown): PanalError =>
  new PanalError('REQUEST_ABORTED', 'the client went away before its upload was whole', { cause });

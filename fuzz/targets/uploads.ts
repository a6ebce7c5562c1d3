import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import fc, { type Arbitrary } from 'fast-check';
import { tarGz, zip } from '../../testkit/archives.js';
import { changedBytes, garbage } from '../mutations.js';
import { request } from '../raw-http.js';
import { Site } from '../site.js';
import type { Shot, Target } from '../target.js';
import { throwing } from './http.js';

const PATH = '/registerFunction/pythonruntime/uploaded';
const module = tarGz([{ name: 'test.py', content: 'print(1)\n' }]);
const zipped = zip([{ name: 'test.py', content: 'print(1)\n' }]);

interface Part {
  head: string;
  body: Uint8Array;
}

/** A form (RFC 7578), whatever its parts are. */
function form(boundary: string, parts: readonly Part[], end = `--${boundary}--\r\n`): Buffer {
  const pieces = parts.flatMap(({ head, body }) => [`--${boundary}\r\n${head}\r\n\r\n`, body, '\r\n']);
  return Buffer.concat([...pieces, end].map((piece) => Buffer.from(piece)));
}

const upload = (boundary: string, body: Buffer): Buffer =>
  request('POST', PATH, body, { 'Content-Type': `multipart/form-data; boundary=${boundary}` });

const part = (name: string, body: string | Uint8Array, file?: string): Part => ({
  head: `Content-Disposition: form-data; name="${name}"${file === undefined ? '' : `; filename="${file}"`}`,
  body: Buffer.from(body),
});

const samples = [module, zipped].map((archive) =>
  upload(
    'b0undary',
    form('b0undary', [part('lifecycle', 'warm'), part('env', '{"A":"1"}'), part('module', archive, 'm.zip')]),
  ),
);

const NAMES = [
  'module',
  'lifecycle',
  'timeoutMs',
  'env',
  'retry',
  '__proto__',
  'env[A]',
  'a[0][b]',
  '',
  'x'.repeat(300),
];
const FILES = [undefined, 'm.zip', '../../etc/passwd', '\0', 'a\\b', '', 'x'.repeat(5000)];
const HEADS = [
  ...['', 'Content-Type: text/plain', 'Content-Transfer-Encoding: base64', 'Content-Disposition: form-data'],
  ...[
    "Content-Disposition: form-data; name*=utf-8''%ff; filename*=x''y",
    `X: ${'y'.repeat(20_000)}`,
    'a:\r\n '.repeat(3000),
  ],
];

const oddPart: Arbitrary<Part> = fc.oneof(
  fc
    .tuple(
      fc.constantFrom(...NAMES),
      fc.constantFrom(...FILES),
      fc.oneof(
        fc.constantFrom<string | Uint8Array>(
          module,
          zipped,
          '1',
          '{}',
          'warm',
          '"',
          '{"__proto__":1}',
          '['.repeat(30_000),
        ),
        fc.uint8Array({ maxLength: 40 }),
      ),
    )
    .map(([name, file, body]) => part(name, body, file)),
  fc.record({ head: fc.constantFrom(...HEADS), body: fc.uint8Array({ maxLength: 20 }) }),
);

const oddForm: Arbitrary<Buffer> = fc
  .record({
    boundary: fc.constantFrom('b', 'x'.repeat(70), '-', "'()+_,-./:=?"),
    parts: fc.oneof(
      fc.array(oddPart, { maxLength: 4 }),
      oddPart.map((each) => Array<Part>(60).fill(each)),
    ),
    end: fc.constantFrom(undefined, '', '--b', '--b--', '--b\r\n', '\r\n--b--\r\nmore'),
  })
  .map(({ boundary, parts, end }) => upload(boundary, form(boundary, parts, end)));

const shots: Arbitrary<Shot> = fc
  .oneof(
    { weight: 4, arbitrary: changedBytes(samples) },
    { weight: 4, arbitrary: oddForm },
    { weight: 1, arbitrary: garbage.map((body) => upload('b', body)) },
  )
  .map((bytes) => [bytes]);

/** Uploads: forms, and the archives in them. */
export const uploads: Target = {
  name: 'uploads',
  weight: 10,
  async open({ folder }) {
    const settings = { FAAS_USER_FUNCTIONS: '1000000' };
    const site = await Site.open({ folder: await mkdtemp(join(folder, 'site-')), settings });
    return throwing(site, shots, 8);
  },
};

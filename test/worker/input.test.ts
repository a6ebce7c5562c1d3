import { expect } from 'chai';
import type { FunctionSpec, InputKind } from '@panal/protocol';
import { contractOf } from '../../worker/src/contracts/index.js';
import { imageSpec, runtimeSpec } from '../support/specs.js';

const image = imageSpec('image');
const runtime = runtimeSpec('runtime');
const handler = runtimeSpec('handler', { lifecycle: 'hot' });
const full = 'x'.repeat(65_536);
const binary = Buffer.from([0xff, 0xfe]);

interface Row {
  title: string;
  spec: FunctionSpec;
  kind: InputKind;
  bytes: string | Buffer;
  body: string | Buffer;
  argument: string | undefined;
}

const rows: Row[] = [
  {
    title: 'an image a JSON string as its characters',
    spec: image,
    kind: 'json',
    bytes: '"hé\\n"',
    body: 'hé\n',
    argument: 'hé\n',
  },
  {
    title: 'an image other JSON as its text',
    spec: image,
    kind: 'json',
    bytes: '{"a": 1}',
    body: '{"a": 1}',
    argument: '{"a": 1}',
  },
  {
    title: 'an image raw text as it is',
    spec: image,
    kind: 'raw',
    bytes: '"hello"',
    body: '"hello"',
    argument: '"hello"',
  },
  {
    title: 'an image bytes that are no text on stdin only',
    spec: image,
    kind: 'raw',
    bytes: binary,
    body: binary,
    argument: undefined,
  },
  {
    title: 'an image text with NUL on stdin only',
    spec: image,
    kind: 'json',
    bytes: '"a\\u0000b"',
    body: 'a\0b',
    argument: undefined,
  },
  {
    title: 'an image a JSON string that UTF-8 cannot say as its text',
    spec: image,
    kind: 'json',
    bytes: '"a\\ud800"',
    body: '"a\\ud800"',
    argument: '"a\\ud800"',
  },
  { title: 'an image 64 KiB as argument', spec: image, kind: 'raw', bytes: full, body: full, argument: full },
  {
    title: 'an image more than 64 KiB on stdin only',
    spec: image,
    kind: 'raw',
    bytes: `${full}x`,
    body: `${full}x`,
    argument: undefined,
  },
  {
    title: 'an image nothing where there is no parameter',
    spec: image,
    kind: 'none',
    bytes: '',
    body: '',
    argument: undefined,
  },
  {
    title: 'a runtime function JSON as its text, a string too',
    spec: runtime,
    kind: 'json',
    bytes: '"hello"',
    body: '"hello"',
    argument: '"hello"',
  },
  {
    title: 'a runtime function raw bytes as they are',
    spec: runtime,
    kind: 'raw',
    bytes: binary,
    body: binary,
    argument: undefined,
  },
  {
    title: 'a runtime function an empty object where there is no parameter',
    spec: runtime,
    kind: 'none',
    bytes: '',
    body: '{}',
    argument: '{}',
  },
  {
    title: 'a runtime function less than 64 KiB as argument',
    spec: runtime,
    kind: 'raw',
    bytes: full.slice(1),
    body: full.slice(1),
    argument: full.slice(1),
  },
  {
    title: 'a runtime function 64 KiB on stdin only',
    spec: runtime,
    kind: 'raw',
    bytes: full,
    body: full,
    argument: undefined,
  },
  {
    title: 'a handler its params in the body only',
    spec: handler,
    kind: 'json',
    bytes: '{"a":1}',
    body: '{"a":1}',
    argument: undefined,
  },
  {
    title: 'a handler an empty object where there is no parameter',
    spec: handler,
    kind: 'none',
    bytes: '',
    body: '{}',
    argument: undefined,
  },
];

describe('the input of a call', () => {
  for (const { title, spec, kind, bytes, body, argument } of rows) {
    it(`gives ${title}`, () => {
      const input = contractOf(spec.settings.lifecycle).input(spec, kind, Buffer.from(bytes));
      expect(Buffer.from(input.body)).to.deep.equal(Buffer.from(body));
      expect(input.argument).to.equal(argument);
      const params = spec === runtime ? argument : undefined;
      expect(input.env).to.deep.equal(params === undefined ? {} : { FAAS_PARAMS: params });
    });
  }
});

import { isUtf8 } from 'node:buffer';
import type { FunctionSpec, InputKind } from '@panal/protocol';
import type { Input } from '../contract.js';

/** The kernel takes 128 KiB for one argument; the contract promises this much. */
const MAX_ARGUMENT = 64 * 1024;

const EMPTY = new Uint8Array(0);
const EMPTY_OBJECT = Buffer.from('{}');
export const NO_ENV: Readonly<Record<string, string>> = {};
const SPACE = 0x20;
const QUOTE = 0x22;
const HALF_A_PAIR = /\p{Surrogate}/u;

/** What a function on a runtime reads as its parameter. */
export const runtimeBody = (kind: InputKind, bytes: Uint8Array): Uint8Array =>
  kind === 'none' ? EMPTY_OBJECT : bytes;

/** How the parameter of a call reaches its process: on stdin, as an argument, in the environment. */
export function commandInput(spec: FunctionSpec, kind: InputKind, bytes: Uint8Array): Input {
  if (spec.kind === 'image') return forImage(kind, bytes);
  const body = runtimeBody(kind, bytes);
  const argument = body.byteLength < MAX_ARGUMENT ? asText(body) : undefined;
  return { body, argument, env: argument === undefined ? NO_ENV : { FAAS_PARAMS: argument } };
}

function forImage(kind: InputKind, bytes: Uint8Array): Input {
  if (kind === 'none') return { body: EMPTY, argument: undefined, env: NO_ENV };
  const body = kind === 'json' ? unquoted(bytes) : bytes;
  const argument = body.byteLength <= MAX_ARGUMENT ? asText(body) : undefined;
  return { body, argument, env: NO_ENV };
}

/**
 * A JSON string is meant as its characters, any other JSON as it is written; so is a string with half of a surrogate
 * pair, which no UTF-8 can say.
 */
function unquoted(json: Uint8Array): Uint8Array {
  if (json.find((byte) => byte > SPACE) !== QUOTE) return json;
  const value: unknown = JSON.parse(asBuffer(json).toString());
  return typeof value === 'string' && !HALF_A_PAIR.test(value) ? Buffer.from(value) : json;
}

/** The text that the bytes are; `undefined` where they cannot be an argument. */
function asText(bytes: Uint8Array): string | undefined {
  if (!isUtf8(bytes) || bytes.includes(0)) return undefined;
  return asBuffer(bytes).toString();
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

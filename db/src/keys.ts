import { PanalError } from '@panal/protocol';

/**
 * The layout of the store: a key is its kind and its parts, apart by NUL.
 *
 * | key | value |
 * |---|---|
 * | `user` name | the user, JSON |
 * | `leaving-user` name | |
 * | `runtime` owner, name | the runtime, JSON |
 * | `runtime-image` owner, image, name | |
 * | `function` owner, name | the function, JSON |
 * | `version` owner, name, version | the version, JSON |
 * | `version-summary` owner, name, version | what lists and quotas need of the version, JSON |
 * | `kept-version` id | a version that was deleted before its calls had settled, JSON |
 * | `uses-runtime` owner, runtime's owner, runtime, function, version | |
 * | `uses-bundle` sha256, owner, function, version | |
 * | `uses-bundle` sha256, no owner, id of a kept version | |
 * | `last-call` | the highest call number that was reserved, or stored, JSON |
 * | `call` owner | where the calls of the owner begin, JSON (`call-removal.ts`) |
 * | `call` owner, number | the call (`call-codec.ts`) |
 * | `call-part` owner, number, part | params, result or logs of a call that are too long for its record |
 * | `call-by-status` status, owner, number | of a call that is not settled: the run of the broker that has it |
 * | `call-by-function` owner, function, status, number | |
 * | `call-usage` | number and bytes of the settled calls that are kept, JSON (`call-usage.ts`) |
 * | `call-usage` owner | the same of an owner |
 * | `call-event` owner, number, time, subscriber | a call that settled then, of which the subscriber has to hear, JSON |
 * | `call-key` owner, key, time | the call that was accepted with this `Idempotency-Key` at that time, JSON |
 * | `call-key-by-time` time, owner, key | its key in the store |
 *
 * LevelDB compares keys byte by byte, and UTF-8 keeps the order of code points. Numbers have a fixed width, so their
 * order is that of the digits. NUL within a part is escaped in a way that keeps the order too (NUL → U+0001 U+0001,
 * U+0001 → U+0001 U+0002), so no name can reach into another's keys.
 */
export const KINDS = [
  'user',
  'leaving-user',
  'runtime',
  'runtime-image',
  'function',
  'version',
  'version-summary',
  'kept-version',
  'uses-runtime',
  'uses-bundle',
  'last-call',
  'call',
  'call-part',
  'call-by-status',
  'call-by-function',
  'call-event',
  'call-usage',
  'call-key',
  'call-key-by-time',
] as const;
export type Kind = (typeof KINDS)[number];

const SEPARATOR = '\0';
/** The least text that sorts after every key which goes on with a separator. */
const AFTER_SEPARATOR = '\u0001';
/** Digits of `Number.MAX_SAFE_INTEGER`. */
const WIDTH = 16;

/** Keys from `gte`, included, to `lt`, excluded. */
export interface Range {
  gte: string;
  lt: string;
}

/**
 * The key of `kind` with these parts: any text, and whole numbers from 0.
 * @throws PanalError `INVALID_NAME` for half a surrogate pair, which UTF-8 cannot write: two names would become one.
 */
export function keyOf(kind: Kind, ...parts: readonly (string | number)[]): string {
  let key: string = kind;
  for (const part of parts) key += SEPARATOR + (typeof part === 'number' ? digits(part) : escape(part));
  return key;
}

/** The number that is the last part of a key. */
export function numberOf(key: string): number {
  return Number(key.slice(-WIDTH));
}

/** The text that is the last part of a key. */
export function nameOf(key: string): string {
  return unescape(key.slice(key.lastIndexOf(SEPARATOR) + 1));
}

/** The text that comes after the kind of a key. */
export function secondOf(key: string): string {
  return unescape(key.split(SEPARATOR)[1] ?? '');
}

/** All keys that begin with the parts of `key` and have more. */
export function under(key: string): Range {
  return { gte: key + SEPARATOR, lt: key + AFTER_SEPARATOR };
}

/** This key alone. */
export const only = (key: string): Range => ({ gte: key, lt: `${key}\0` });

/** All keys of a kind. */
export const rangeOfKind = (kind: Kind): Range => ({ gte: kind, lt: kind + AFTER_SEPARATOR });

/** As `under`, but only what comes before the number `end`, where one is given. */
export function upTo(key: string, end: number | undefined): Range {
  const range = under(key);
  return end === undefined ? range : { gte: range.gte, lt: range.gte + digits(end) };
}

function digits(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a number of the store: ${value}`);
  return String(value).padStart(WIDTH, '0');
}

function escape(text: string): string {
  if (isPlain(text)) return text;
  if (/\p{Surrogate}/u.test(text)) throw new PanalError('INVALID_NAME', 'a name must be well-formed Unicode');
  return text.replaceAll('\u0001', '\u0001\u0002').replaceAll('\0', '\u0001\u0001');
}

/** Whether there is nothing to look at closer. Every key of every call comes this way, so it is a plain loop. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit <= 1 || (unit >= 0xd800 && unit <= 0xdfff)) return false;
  }
  return true;
}

function unescape(text: string): string {
  return text.replaceAll('\u0001\u0001', '\0').replaceAll('\u0001\u0002', '\u0001');
}

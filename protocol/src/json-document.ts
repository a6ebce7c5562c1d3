import { PanalError } from './errors.js';

/** Deepest nesting of arrays and objects that is read. Programs that recurse through JSON fail at some depth. */
export const MAX_JSON_DEPTH = 10_000;

/** Could poison a prototype further on. */
const FORBIDDEN = '__proto__';

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const UNDERSCORE = 0x5f;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const SPACE = 0x20;

/** A JSON document (RFC 8259). */
export interface JsonDocument {
  value: unknown;
  /** Of an object: the text of each member's value exactly as it is written, without the whitespace around it. */
  members: ReadonlyMap<string, string>;
}

/**
 * Reads JSON so that a part of it can be passed on as it is: written anew, `1.0` and 2^53 + 1 would be other numbers.
 * @throws PanalError INVALID_REQUEST if `text` is not JSON, is nested too deeply, names a member twice at the top level,
 * or has a `__proto__` key at any level
 */
export function readJson(text: string): JsonDocument {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PanalError('INVALID_REQUEST', 'the body is not JSON', { cause });
  }
  return { value, members: membersOf(text) };
}

/** `text` is known to be JSON: outside of its strings, brackets, commas and colons are what they seem to be. */
function membersOf(text: string): Map<string, string> {
  const members = new Map<string, string>();
  let depth = 0;
  let string = 0;
  let stringEnd = 0;
  let name: string | undefined;
  let start = 0;
  const endMember = (end: number): void => {
    if (name !== undefined) members.set(name, trimmed(text, start, end));
    name = undefined;
  };
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        string = at;
        at = endOfString(text, at);
        stringEnd = at + 1;
        break;
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        depth += 1;
        if (depth > MAX_JSON_DEPTH)
          throw refused(`the body is nested too deeply: over ${MAX_JSON_DEPTH} levels`);
        break;
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        depth -= 1;
        if (depth === 0) endMember(at);
        break;
      case COMMA:
        if (depth === 1) endMember(at);
        break;
      case COLON:
        refuseForbidden(text, string, stringEnd);
        if (depth > 1) break;
        name = stringValue(text, string, stringEnd);
        if (members.has(name)) throw refused(`${name}: is given twice`);
        start = at + 1;
        break;
    }
  }
  return members;
}

/** Where the string that begins at `start` has its closing quote. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end;
}

function isEscaped(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === BACKSLASH) before -= 1;
  return (at - before) % 2 === 0;
}

/** Nearly every key is told from the forbidden one by its length or first character. */
function refuseForbidden(text: string, start: number, end: number): void {
  const first = text.charCodeAt(start + 1);
  if (end - start < FORBIDDEN.length + 2 || (first !== UNDERSCORE && first !== BACKSLASH)) return;
  if (stringValue(text, start, end) === FORBIDDEN)
    throw refused(`the body has a forbidden key, ${FORBIDDEN}`);
}

function stringValue(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1);
  return inner.includes('\\') ? String(JSON.parse(text.slice(start, end))) : inner;
}

/** All that is not above a space is whitespace there: a value has nothing else at its ends. */
function trimmed(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (text.charCodeAt(from) <= SPACE) from += 1;
  while (text.charCodeAt(to - 1) <= SPACE) to -= 1;
  return text.slice(from, to);
}

const refused = (message: string): PanalError => new PanalError('INVALID_REQUEST', message);

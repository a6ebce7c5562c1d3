import { isUtf8 } from 'node:buffer';
import { buffer } from 'node:stream/consumers';
import { InvalidArgumentError } from 'commander';
import { messageOf, misuse } from './failure.js';
import type { Shell } from './shell.js';

/** Reads an option that is a whole number. */
export const wholeNumber =
  (min: number, max = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number of at least ${min}.`);
  };

/** Reads an option that is a number of seconds. */
export function seconds(text: string): number {
  const value = Number(text);
  // A timer of Node.js takes no more than 2^31 milliseconds.
  if (/^\d+(\.\d+)?$/.test(text) && value > 0 && value <= 2_000_000) return value;
  throw new InvalidArgumentError('It must be a number of seconds.');
}

/** The bytes of an argument; those of stdin where it is `-`. */
export async function bytesOf(argument: string, stdin: Shell['stdin']): Promise<Buffer> {
  if (argument !== '-') return Buffer.from(argument);
  return await buffer(stdin);
}

/**
 * JSON text given as an argument, or on stdin where that is `-`.
 * @returns the text as it is, so that no number in it loses digits; `undefined` for none
 * @throws Failure if it is not JSON in UTF-8
 */
export async function jsonArgument(
  argument: string | undefined,
  stdin: Shell['stdin'],
): Promise<string | undefined> {
  if (argument === undefined) return undefined;
  const bytes = await bytesOf(argument, stdin);
  if (!isUtf8(bytes)) throw misuse('not UTF-8, as JSON must be', '--raw takes any bytes');
  const text = bytes.toString().trim();
  try {
    JSON.parse(text);
    return text;
  } catch {
    const shown = text.length > 60 ? `${text.slice(0, 57)}…` : text;
    const advice = `a text is ${JSON.stringify('"text"')}; --raw takes any bytes`;
    throw misuse(`not JSON: ${shown}`, `${faultOf(text)}; ${advice}`);
  }
}

/** Where a text stops to be JSON, and by what. */
function faultOf(text: string): string {
  // The longest beginning that JSON can begin with. `JSON.parse` does not say where short texts are wrong.
  let [good, bad] = [0, text.length + 1];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (canGoOn(text.slice(0, middle))) good = middle;
    else bad = middle;
  }
  const before = text.slice(0, good).split('\n');
  const line = before.length === 1 ? '' : `line ${before.length}, `;
  const found = good < text.length ? `unexpected ${JSON.stringify(text[good])}` : 'the text ends too early';
  return `${line}column ${(before.at(-1) ?? '').length + 1}: ${found}`;
}

/** Whether a text is JSON, or would be with more behind it: then `JSON.parse` complains of its end. */
function canGoOn(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    const message = messageOf(error);
    if (/unexpected end|unterminated/i.test(message)) return true;
    return /at position (\d+)/.exec(message)?.[1] === String(text.length);
  }
}

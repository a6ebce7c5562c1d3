import { isUtf8 } from 'node:buffer';
import { buffer } from 'node:stream/consumers';
import { InvalidArgumentError } from 'commander';
import { misuse } from './failure.js';
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
    throw misuse(`not JSON: ${shown}`, `a text is ${JSON.stringify('"text"')}; --raw takes any bytes`);
  }
}

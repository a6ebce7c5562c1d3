import type { CallInput } from '../services.js';

/** No parameter at all, which is not an empty one. */
export const NO_INPUT: CallInput = { kind: 'none', bytes: new Uint8Array(0) };

/** The function is to be prepared, not run. */
export const PREPARE: CallInput = { kind: 'prepare', bytes: new Uint8Array(0) };

/** @param text of a JSON value, which the function gets exactly as it is written; `undefined` for no parameter */
export function jsonInput(text: string | undefined): CallInput {
  return text === undefined ? NO_INPUT : { kind: 'json', bytes: Buffer.from(text) };
}

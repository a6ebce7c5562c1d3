import { misuse } from './failure.js';

/** The files in which code of a bundled runtime begins. */
const BEGINNINGS: Readonly<Record<string, RegExp>> = {
  pythonruntime: /^(handler|test)\.py$/,
  noderuntime: /^(handler\.(mjs|js|cjs|ts)|test\.js)$/,
};

/**
 * The bundled runtime that a folder is written for, by the files at its root.
 * @returns `undefined` if they do not say
 * @throws Failure if they say several
 */
export function runtimeFor(files: readonly string[]): string | undefined {
  const fitting = Object.entries(BEGINNINGS).filter(([, begins]) => files.some((file) => begins.test(file)));
  const [first, second] = fitting.map(([runtime]) => runtime);
  if (first !== undefined && second !== undefined) {
    throw misuse(`the files fit ${first} and ${second}`, 'choose one in panal.json, or with --runtime');
  }
  return first;
}

/**
 * Hooks of Node.js (`module.register`) that load TypeScript by esbuild, for versions of Node.js that do not take the
 * types away themselves. As there, each file is taken by itself: an import names its file with the ending.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const ESBUILD = fileURLToPath(new URL('esbuild', import.meta.url));
const MAX_OUTPUT = 64 << 20;

export async function load(url, context, next) {
  if (!/\.ts$/.test(url)) return await next(url, context);
  const file = fileURLToPath(url);
  return { format: 'module', source: await transform(file, await readFile(file)), shortCircuit: true };
}

function transform(file, source) {
  const args = [
    '--loader=ts',
    '--format=esm',
    '--target=node20',
    '--sourcemap=inline',
    `--sourcefile=${file}`,
  ];
  return new Promise((resolve, reject) => {
    const child = execFile(
      ESBUILD,
      [...args, '--color=false'],
      { maxBuffer: MAX_OUTPUT },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else if (error.code === 'ENOENT')
          reject(new Error('this runtime was built without esbuild, and cannot load .ts'));
        else reject(syntaxError(file, stderr) ?? error);
      },
    );
    child.stdin.on('error', () => undefined);
    child.stdin.end(source);
  });
}

/** What esbuild complains of first, with its file and line. */
function syntaxError(file, stderr) {
  const message = /\[ERROR\] (.*)/.exec(stderr)?.[1];
  if (message === undefined) return undefined;
  const line = /:(\d+):\d+:/.exec(stderr)?.[1] ?? '1';
  const error = new SyntaxError(`${message} (${file}, line ${line})`);
  // Where this file made it is of no interest.
  error.stack = `${error.name}: ${error.message}`;
  return error;
}

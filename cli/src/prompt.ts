import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { EXIT_INTERRUPTED, Failure } from './failure.js';
import type { Shell } from './shell.js';

/** Asks a question on the terminal; what is typed is not shown where it is `secret`. */
export async function ask(
  { stdin, stderr }: Shell,
  question: string,
  { secret = false } = {},
): Promise<string> {
  const echo = new Writable({
    write: (chunk, _encoding, done) => {
      if (!secret) stderr.write(chunk);
      done();
    },
  });
  const lines = createInterface({ input: stdin, output: echo, terminal: true });
  if (secret) stderr.write(question);
  const given = new AbortController();
  try {
    const typed = lines.question(secret ? '' : question, { signal: given.signal });
    const ended = Promise.race(
      ['SIGINT', 'close'].map((event) => once(lines, event, { signal: given.signal })),
    );
    const answer = await Promise.race([typed, ended.then(() => undefined)]);
    if (answer === undefined)
      throw new Failure('interrupted', { code: 'INTERRUPTED', exitCode: EXIT_INTERRUPTED });
    return answer;
  } finally {
    given.abort();
    lines.close();
    if (secret) stderr.write('\n');
  }
}

/** Asks a question that is answered by yes or, by default, no. */
export async function confirm(shell: Shell, question: string): Promise<boolean> {
  return /^y(es)?$/i.test((await ask(shell, `${question} [y/N] `)).trim());
}

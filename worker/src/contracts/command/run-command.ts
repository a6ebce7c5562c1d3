import { notStarted } from '../verdict.js';
import { checkOfProgram } from './program-check.js';
import type { RunResult } from '../run.js';

/** All that may follow a `$` in a simple command: the whole name of a variable. */
const VARIABLE = String.raw`\$(?:[A-Za-z_][A-Za-z0-9_]*(?![A-Za-z0-9_])|\{[A-Za-z_][A-Za-z0-9_]*\})`;
const IN_SINGLE_QUOTES = String.raw`'[^']*'`;
const IN_DOUBLE_QUOTES = String.raw`"(?:[^"\\$\x60]|\\[^]|\$(?=["\s])|${VARIABLE})*"`;
const ESCAPED = String.raw`\\[^\n]`;
/** A character that the shell takes as it is. */
const PLAIN = String.raw`[^\s"'\\$\x60;&|()<>]`;

const BLANKS = /[ \t]*/y;
const WORD = new RegExp(
  `(?!#)(?:${[IN_SINGLE_QUOTES, IN_DOUBLE_QUOTES, ESCAPED, VARIABLE, PLAIN].join('|')})+`,
  'y',
);
/** To or from a file or a descriptor, but no here-document; a word has to follow. */
const REDIRECTION = /[0-9]*(?:<>|<&|>&|>>|>\||<(?!<)|>)[ \t]*/y;

const ASSIGNMENT = /^[A-Za-z_][A-Za-z0-9_]*=/;
/** Words to which the shell gives a meaning of its own where a program's name is expected. */
const SHELL_WORDS = new Set(
  '! [ [[ { } case coproc do done elif else esac eval fi for function if in select then until while'.split(
    ' ',
  ),
);
/** Builtins of bash that evaluate an argument: `test -v 'a[$(id)]'` runs `id`. Not every `/bin/sh` is bash. */
const EVALUATING = new Set(
  'compgen complete declare getopts let local mapfile read readarray readonly test typeset unset'.split(' '),
);
/** Words behind which the shell expects the name of another program, or of a file with commands. */
const PREFIXES = new Set(['.', 'builtin', 'command', 'exec', 'source', 'time']);

/** Commands that shells have themselves, with or without a program of the same name. */
const BUILTINS = new Set(
  (
    ': . [ alias bg bind break builtin caller cd command continue declare dirs disown echo enable eval exec exit export ' +
    'false fc fg getopts hash help history jobs kill let local logout mapfile newgrp popd printf pushd pwd read readarray ' +
    'readonly return set shift shopt source suspend test time times trap true type typeset ulimit umask unalias unset wait'
  ).split(' '),
);

/**
 * How the process of a call is started. A simple command gets the parameter as its last argument. No shell starts it if
 * all of its words are literal.
 */
export function runCommand(run: string, parameter: string | undefined): string[] {
  const argv = programOf(run);
  return argv === undefined
    ? checkedCommand(run, shellCommand(run, parameter))
    : [...argv, ...(parameter === undefined ? [] : [parameter])];
}

/** The same by a shell in any case, which looks at the program of a simple command before it starts it. */
export const checkedShellCommand = (run: string, parameter: string | undefined): string[] =>
  checkedCommand(run, shellCommand(run, parameter));

/** How a process starts that serves calls. */
export const handlerCommand = (handler: string): string[] =>
  checkedCommand(handler, ['/bin/sh', '-c', handler]);

/** Only checks whether the program of `run` can be started; `undefined` if that cannot be known before it is tried. */
export const checkOf = (run: string): string[] | undefined => {
  const name = programName(run);
  return name === undefined ? undefined : checkOfProgram(name);
};

/** Exit codes of a shell whose program is not there, or cannot be executed. */
const REFUSED = new Set([126, 127]);

/** Turns the result of a shell that could not start the one command that it had into that of a failed start. */
export function unlessRefused(run: string, argv: readonly string[], result: RunResult): RunResult {
  if (result.error?.code !== 'FUNCTION_FAILED' || !REFUSED.has(result.exitCode ?? 0)) return result;
  if (argv[0] !== '/bin/sh' || !isSimpleCommand(run)) return result;
  const [, reason] =
    /^(?:\/bin\/)?sh: (?:line )?(?:\d+: )?(.*)\n$/.exec(Buffer.from(result.logs).toString()) ?? [];
  return reason === undefined ? result : { ...result, ...notStarted(reason) };
}

const checkedCommand = (run: string, command: string[]): string[] => [...(checkOf(run) ?? []), ...command];

/**
 * The same by the shell, in any case. A script runs as it is and finds the parameter as `$1`. The parameter is never part
 * of the text that the shell reads.
 */
export function shellCommand(run: string, parameter: string | undefined): string[] {
  const text = isSimpleCommand(run) ? `${trimmed(run)} "$@"` : run;
  // A shell would read text that begins like an option as one.
  const safe = /^[-+]/.test(text) ? ` ${text}` : text;
  return ['/bin/sh', '-c', safe, 'sh', ...(parameter === undefined ? [] : [parameter])];
}

/** The name of the program that a simple command starts; `undefined` if it starts none, or the shell makes up the name. */
function programName(run: string): string | undefined {
  if (!isSimpleCommand(run)) return undefined;
  const words = wordsOf(trimmed(run)) ?? [];
  const first = words.findIndex((word) => !ASSIGNMENT.test(word));
  // Another PATH leads to another program.
  if (words.slice(0, first).some((word) => word.startsWith('PATH='))) return undefined;
  const name = words.slice(first).find((word) => word !== 'exec') ?? '';
  if (/[$*?[\]{}~]/.test(name) || name.startsWith('-')) return undefined;
  const literalName = unquoted(name);
  return BUILTINS.has(literalName) ? undefined : literalName;
}

/** A program and its arguments; `undefined` if the shell has to expand, assign or redirect anything, or is the program. */
function programOf(run: string): string[] | undefined {
  const text = trimmed(run);
  if (!isSimpleCommand(run) || /[$*?[\]{}~<>]/.test(text)) return undefined;
  const words = wordsOf(text)?.map(unquoted) ?? [];
  const argv = words[0] === 'exec' && !words[1]?.startsWith('-') ? words.slice(1) : words;
  const [name = ''] = argv;
  return name.includes('=') || BUILTINS.has(name) ? undefined : argv;
}

/** What the shell makes of a word without variables. */
const unquoted = (word: string): string =>
  word.replaceAll(
    /'([^']*)'|"((?:[^"\\]|\\[^])*)"|\\([^])|([^'"\\]+)/g,
    (_, single?: string, double?: string, escaped?: string, plain?: string) =>
      single ?? double?.replaceAll(/\\(?:\n|([$`"\\]))/g, '$1') ?? escaped ?? plain ?? '',
  );

/**
 * Whether `run` is one simple command (POSIX Shell Command Language, 2.9.1) to which an argument can be appended. It
 * consists of a program's name and arguments, perhaps with assignments before them, and of redirections. Anything in
 * doubt is a script.
 */
export function isSimpleCommand(run: string): boolean {
  const words = wordsOf(trimmed(run));
  if (words === undefined) return false;
  const first = words.findIndex((word) => !ASSIGNMENT.test(word));
  const name = first < 0 ? undefined : words.slice(first).map(literal).find(isNoPrefix);
  // Without a name that is sure to be there, the parameter itself would name the program.
  if (name === undefined || name === '' || name.includes('=')) return false;
  return !SHELL_WORDS.has(name) && !EVALUATING.has(name);
}

const isNoPrefix = (word: string): boolean => !PREFIXES.has(word);

const trimmed = (run: string): string => /[^ \t\r\n](?:[^]*[^ \t\r\n])?/.exec(run)?.[0] ?? '';

/** What remains of a word without its quotes, and if each of its variables is empty. */
const literal = (word: string): string =>
  word.replaceAll(new RegExp(VARIABLE, 'g'), '').replaceAll(/['"\\]/g, '');

/** The words of a command without its redirections; `undefined` if it has anything else. */
function wordsOf(command: string): string[] | undefined {
  const words: string[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(command)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  while (at < command.length) {
    const redirection = take(REDIRECTION);
    const word = take(WORD);
    if (word === undefined) return undefined;
    // Bash takes a word in braces before a redirection for the name of its descriptor.
    if (word.endsWith('}') && /[<>]/.test(command.charAt(at))) return undefined;
    if (redirection === undefined) words.push(word);
    take(BLANKS);
  }
  return words;
}

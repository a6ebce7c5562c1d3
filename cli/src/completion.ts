import { listCommand, type OptionWords, type ProgramWords, type Words } from './command-words.js';
import { fishCompletion } from './completion-fish.js';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type ShellName = (typeof SHELLS)[number];

/** The script that makes a shell complete what can be typed behind a program's name. */
export function completionScript(shell: ShellName, program: ProgramWords): string {
  const make = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion }[shell];
  return make(program);
}

function bashCompletion(program: ProgramWords): string {
  const name = `_${program.name}`;
  return `# Completion of ${program.name} for bash. Put it to use with: source <(${program.name} completion bash)
${name}_offer() {
  local word
  while IFS= read -r word; do
    if [[ $word == "$cur"* ]]; then COMPREPLY+=("$word"); fi
  done
}
${name}() {
  local panal=\${COMP_WORDS[0]} cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} verb= at=0 i word
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
${walk(program)}
  done
${choose(program, { offer: `${name}_offer`, folders: 'compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur"))' })}
}
complete -F ${name} ${program.name}
`;
}

function zshCompletion(program: ProgramWords): string {
  const name = `_${program.name}`;
  return `#compdef ${program.name}
# Completion of ${program.name} for zsh. Put it to use with: source <(${program.name} completion zsh)
${name}_offer() {
  local -a found
  found=("\${(@f)$(cat)}")
  compadd -- $found
}
${name}() {
  local panal=$words[1] cur=$words[CURRENT] prev=$words[CURRENT-1] verb= at=0 i word
  for ((i = 2; i < CURRENT; i++)); do
    word=$words[i]
${walk(program)}
  done
${choose(program, { offer: `${name}_offer`, folders: '_path_files -/' })}
}
compdef ${name} ${program.name}
`;
}

/** Finds the verb, and how many arguments stand before the word that is completed. */
function walk(program: ProgramWords): string {
  const takers = withValues(program).map(([pattern]) => pattern);
  return `    case "$verb $word" in
      ${takers.join('|')}) i=$((i + 1)) ;;
      *' '-?*) ;;
      *) if [[ -z $verb ]]; then verb=$word; else at=$((at + 1)); fi ;;
    esac`;
}

/** How a shell is told what may stand at the cursor. */
interface Dialect {
  /** A command that takes words on stdin, one a line. */
  offer: string;
  /** Offers folders. */
  folders: string;
}

function choose(program: ProgramWords, dialect: Dialect): string {
  const globals = flagsOf(program.options);
  const values = withValues(program).map(
    ([pattern, words]) => `    ${pattern}) ${offer(words, dialect)}; return ;;`,
  );
  const options = program.verbs.map(
    ({ name, options: own }) =>
      `    ${name}' '-*) ${offerAll([...new Set([...flagsOf(own), ...globals])], dialect)}; return ;;`,
  );
  const places = program.verbs.flatMap(({ name, arguments: given }) =>
    given.map((words, at) => `    '${name} ${at}') ${offer(words, dialect)} ;;`),
  );
  return `  case "$verb $prev" in
${values.join('\n')}
  esac
  case "$verb $cur" in
${options.join('\n')}
    *' '-*) ${offerAll(globals, dialect)}; return ;;
  esac
  case "$verb $at" in
    ' 0') ${offerAll(
      program.verbs.map(({ name }) => name),
      dialect,
    )} ;;
${places.join('\n')}
  esac`;
}

/** A pattern of a verb and an option that takes a value, and what that may be. */
function withValues({ options, verbs }: ProgramWords): [pattern: string, words: Words][] {
  const of = (prefix: string, some: readonly OptionWords[]): [string, Words][] =>
    some.flatMap(({ flags, value }) =>
      value === undefined ? [] : [[flags.map((flag) => `${prefix}' ${flag}'`).join('|'), value]],
    );
  return [...verbs.flatMap((verb) => of(verb.name, verb.options)), ...of('*', options)];
}

function offer(words: Words, dialect: Dialect): string {
  if (words.kind === 'choices') return offerAll(words.choices, dialect);
  if (words.kind === 'folders') return dialect.folders;
  const list = listCommand('"$panal"', words);
  return list === undefined ? ':' : `${dialect.offer} < <(${list})`;
}

const offerAll = (words: readonly string[], { offer: command }: Dialect): string =>
  `${command} < <(printf '%s\\n' ${words.join(' ')})`;

const flagsOf = (options: readonly OptionWords[]): string[] =>
  options.flatMap(({ flags }) => flags.filter((flag) => flag.startsWith('--')));

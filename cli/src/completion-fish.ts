import { listCommand, type OptionWords, type ProgramWords, type Words } from './command-words.js';

/** The script that makes fish complete what can be typed behind a program's name. */
export function fishCompletion(program: ProgramWords): string {
  const { name, options, verbs } = program;
  const add = (...parts: string[]): string => ['complete', '-c', name, ...parts].join(' ');
  const lines = options.map((option) => add(...optionParts(name, option)));
  for (const verb of verbs) {
    const seen = quote(`__fish_seen_subcommand_from ${verb.name}`);
    lines.push(add('-n', '__fish_use_subcommand', '-a', verb.name, '-d', quote(verb.description)));
    for (const option of verb.options) lines.push(add('-n', seen, ...optionParts(name, option)));
    for (const [at, words] of verb.arguments.entries()) {
      const offered = offer(name, words);
      if (offered.length > 0) lines.push(add('-n', quote(`__${name}_at ${verb.name} ${at}`), ...offered));
    }
  }
  return `# Completion of ${name} for fish. Put it to use with: ${name} completion fish | source
function __${name}_at --description 'Whether the argument of a verb at a place is to be completed'
    set -l given
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; or set -a given $word
    end
    test "$given[1]" = $argv[1]; and test (count $given) -eq (math $argv[2] + 1)
end
complete -c ${name} -f
${lines.join('\n')}
`;
}

function optionParts(name: string, { flags, description, value }: OptionWords): string[] {
  const names = flags.flatMap((flag) =>
    flag.startsWith('--') ? ['-l', flag.slice(2)] : ['-s', flag.slice(1)],
  );
  const values = value === undefined ? [] : ['-x', ...offer(name, value)];
  return [...names, ...values, '-d', quote(description)];
}

function offer(name: string, words: Words): string[] {
  if (words.kind === 'choices') return ['-a', quote(words.choices.join(' '))];
  if (words.kind === 'folders') return ['-a', quote('(__fish_complete_directories)')];
  const list = listCommand(name, words);
  return list === undefined ? [] : ['-a', quote(`(${list})`)];
}

/** Between single quotes only they and backslashes mean something to fish. */
const quote = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;

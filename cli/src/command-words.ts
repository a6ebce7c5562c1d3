import type { Command, Option } from 'commander';

/** What a word on the command line may be: one of some words, or what the cluster or the file system holds. */
export type Words =
  | { kind: 'choices'; choices: readonly string[] }
  | { kind: 'functions' | 'runtimes' | 'calls' | 'folders' | 'anything' };

export interface OptionWords {
  /** `-f` and `--follow`. */
  flags: readonly string[];
  description: string;
  /** What its value may be; undefined where it takes none. */
  value: Words | undefined;
}

export interface VerbWords {
  name: string;
  description: string;
  arguments: readonly Words[];
  options: readonly OptionWords[];
}

/** All that can be typed behind a program's name. */
export interface ProgramWords {
  name: string;
  verbs: readonly VerbWords[];
  /** Those that every verb takes too. */
  options: readonly OptionWords[];
}

/** An argument or the value of an option is known by its name. */
const KINDS: Readonly<Record<string, Words>> = {
  name: { kind: 'functions' },
  runtime: { kind: 'runtimes' },
  call: { kind: 'calls' },
  dir: { kind: 'folders' },
};

/** Reads from the program's own definition what can be typed. */
export function wordsOf(program: Command): ProgramWords {
  return {
    name: program.name(),
    options: optionsOf(program),
    verbs: program.commands.map((command) => ({
      name: command.name(),
      description: command.description(),
      arguments: command.registeredArguments.map((argument) =>
        wordsFor(argument.name(), argument.argChoices),
      ),
      options: optionsOf(command),
    })),
  };
}

function optionsOf(command: Command): OptionWords[] {
  return command.createHelp().visibleOptions(command).map(toWords);
}

function toWords(option: Option): OptionWords {
  const valueName = /[<[]([^>\]]+)[>\]]/.exec(option.flags)?.[1];
  return {
    flags: [option.short, option.long].filter((flag) => flag !== undefined),
    description: option.description,
    value: valueName === undefined ? undefined : wordsFor(valueName, option.argChoices),
  };
}

function wordsFor(name: string, choices: readonly string[] | undefined): Words {
  if (choices !== undefined) return { kind: 'choices', choices };
  return (Object.hasOwn(KINDS, name) ? KINDS[name] : undefined) ?? { kind: 'anything' };
}

/** The command that lists what the cluster has of a kind, a word a line. */
export function listCommand(program: string, words: Words): string | undefined {
  switch (words.kind) {
    case 'functions':
      return `${program} functions 2>/dev/null`;
    case 'runtimes':
      return `${program} runtimes 2>/dev/null | awk 'NR > 1 { print $1 }'`;
    case 'calls':
      return `${program} calls 2>/dev/null | awk 'NR > 1 { print $1 }'`;
    default:
      return undefined;
  }
}

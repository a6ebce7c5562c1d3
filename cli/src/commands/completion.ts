import { Argument } from 'commander';
import { wordsOf } from '../command-words.js';
import { completionScript, SHELLS, type ShellName } from '../completion.js';
import type { AddVerbs } from '../verbs.js';

export const addCompletionVerb: AddVerbs = (program, act) => {
  program
    .command('completion')
    .description('put out a script that makes your shell complete verbs, options and names')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText('after', '\nExample:\n  $ source <(panal completion bash)')
    .action(
      act(async ({ output }, name: ShellName) => {
        output.bytes(Buffer.from(completionScript(name, wordsOf(program))));
        return 0;
      }),
    );
};

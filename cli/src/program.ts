import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addAccountVerbs } from './commands/account.js';
import { addBackupVerbs } from './commands/backup.js';
import { addBenchVerb } from './commands/bench.js';
import { addCallVerbs } from './commands/calls.js';
import { addClusterVerbs } from './commands/cluster.js';
import { addCompletionVerb } from './commands/completion.js';
import { addDeployVerb } from './commands/deploy.js';
import { addDevVerb } from './commands/dev.js';
import { addFunctionVerbs } from './commands/functions.js';
import { addInitVerb } from './commands/init.js';
import { addInvokeVerb } from './commands/invoke.js';
import { addKeysVerb } from './commands/keys.js';
import { addPasswordVerbs } from './commands/password.js';
import { addUpVerb } from './commands/up.js';
import { fieldsOf } from './fields.js';
import { Session, type GlobalOptions } from './session.js';
import type { Shell } from './shell.js';
import type { Act, AddVerbs } from './verbs.js';

/** In the order in which the help lists them. */
const FAMILIES: readonly AddVerbs[] = [
  addUpVerb,
  addAccountVerbs,
  addPasswordVerbs,
  addInitVerb,
  addDeployVerb,
  addInvokeVerb,
  addDevVerb,
  addCallVerbs,
  addFunctionVerbs,
  addClusterVerbs,
  addBenchVerb,
  addBackupVerbs,
  addKeysVerb,
  addCompletionVerb,
];

/**
 * The `panal` command with all its verbs.
 * @param finish is told the exit code of the verb that ran
 * @param json whether the caller says as JSON what is wrong with the command line, so that nothing is said here
 */
export function createProgram(
  shell: Shell,
  { finish = () => undefined, json = false }: { finish?: (exitCode: number) => void; json?: boolean } = {},
): Command {
  const program = new Command('panal')
    .description('A function-as-a-service cluster: functions in containers, called over HTTP.')
    .version(version())
    .option(
      '--url <url>',
      'the cluster; also PANAL_URL, else where you logged in, else http://127.0.0.1:3000',
    )
    .option('--user <email>', 'act as this user, with --password; also a token in PANAL_TOKEN')
    .option('--password <password>', 'its password')
    .option('--json', 'put out one JSON document, for programs')
    .option('--debug', 'show where a failure comes from; also PANAL_DEBUG=1')
    .helpOption('-h, --help', 'show this, or the help of a verb')
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(panal --help shows what there is)')
    .configureOutput({
      writeOut: (text) => void shell.stdout.write(text),
      writeErr: (text) => {
        if (!json) shell.stderr.write(text);
      },
      outputError: (text, write) => write(text.replace(/^error: /, 'panal: ')),
    })
    .exitOverride();
  const act: Act =
    (verb) =>
    async (...given) => {
      finish((await verb(new Session(shell, program.opts<GlobalOptions>()), ...given)) ?? 0);
    };
  for (const add of FAMILIES) add(program, act);
  return program;
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const { version } = fieldsOf(manifest);
  return typeof version === 'string' ? version : 'unknown';
}

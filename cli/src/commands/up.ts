import { clusterModules } from '../local-cluster.js';
import type { AddVerbs } from '../verbs.js';
import { up } from '../up.js';

export const addUpVerb: AddVerbs = (program, act) => {
  program
    .command('up')
    .description('run a broker and FAAS_WORKERS workers on this machine until Ctrl-C')
    .addHelpText('after', '\nExample:\n  $ FAAS_WORKERS=2 panal up')
    .action(
      act(async ({ shell, options: { json = false } }) =>
        up({ env: shell.env, output: shell.stdout, modules: clusterModules(), json }),
      ),
    );
};

import type { FunctionView } from '@panal/client';
import { wholeNumber } from '../arguments.js';
import { all } from '../cluster.js';
import { Failure, misuse } from '../failure.js';
import { ago, bytes, duration } from '../output.js';
import type { AddVerbs } from '../verbs.js';
import { confirm } from '../prompt.js';
import type { Session } from '../session.js';

/** Functions asked for at once. */
const AT_ONCE = 8;

export const addFunctionVerbs: AddVerbs = (program, act) => {
  program
    .command('functions')
    .description('list your functions')
    .option('-l, --long', 'with version, runtime or image, and lifecycle')
    .addHelpText('after', '\nExample:\n  $ panal functions --long')
    .action(act(list));
  program
    .command('function')
    .description('show a function: its versions and settings')
    .argument('<name>')
    .addHelpText('after', '\nExample:\n  $ panal function dice')
    .action(act(show));
  program
    .command('rollback')
    .description('make an earlier version of a function the active one')
    .argument('<name>')
    .argument('[version]', 'default: the one before the active', wholeNumber(1))
    .addHelpText('after', '\nExample:\n  $ panal rollback dice\n  $ panal rollback dice 3')
    .action(act(rollBack));
  program
    .command('rm')
    .description('delete a function with all its versions, or one version of it')
    .argument('<name>')
    .argument('[version]', 'delete only this one, which must not be the active one', wholeNumber(1))
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', '\nExample:\n  $ panal rm dice --yes\n  $ panal rm dice 3')
    .action(act(remove));
};

async function list({ client, output }: Session, { long = false }: { long?: boolean }): Promise<undefined> {
  const names = await all(client.functions.names());
  if (!long) {
    output.show(names, () => names.join('\n'));
    return;
  }
  const views: FunctionView[] = [];
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const some = names.slice(at, at + AT_ONCE);
    views.push(...(await Promise.all(some.map((name) => client.functions.get(name)))));
  }
  output.show(views, () =>
    output.table(
      ['NAME', '>VERSION', 'RUNS ON', 'LIFECYCLE', 'CHANGED'],
      views.map((view) => [
        view.functionName,
        String(view.version),
        view.runtimeName ?? view.image ?? '',
        view.lifecycle,
        ago(view.updatedAt),
      ]),
    ),
  );
}

async function show({ client, output }: Session, name: string): Promise<undefined> {
  const view = await client.functions.get(name);
  output.show(view, () =>
    output.fields({
      name: view.functionName,
      version: String(view.version),
      versions: view.versions.join(' '),
      runtime: view.runtimeName,
      image: view.image,
      digest: view.imageDigest,
      bundle: view.size === undefined ? undefined : `${bytes(view.size)}, sha256 ${view.sha256 ?? ''}`,
      lifecycle: view.lifecycle,
      timeout: duration(view.timeoutMs),
      memory: `${view.memoryMb} MiB`,
      network: view.network,
      created: view.createdAt,
      changed: view.updatedAt,
    }),
  );
}

async function rollBack(
  { client, output }: Session,
  name: string,
  version: number | undefined,
): Promise<undefined> {
  const before = await client.functions.get(name);
  const wanted = version ?? before.versions.filter((each) => each < before.version).at(-1);
  if (wanted === undefined) {
    throw new Failure(`${name} has no version before ${before.version}`, { hint: `panal function ${name}` });
  }
  const after = await client.functions.change(name, { activeVersion: wanted });
  output.show(after, () => `${name} version ${after.version} (was ${before.version})`);
}

async function remove(
  { client, output, shell }: Session,
  name: string,
  version: number | undefined,
  { yes = false }: { yes?: boolean },
): Promise<number> {
  const what = version === undefined ? name : `${name} version ${version}`;
  if (!yes) {
    if (shell.stdin.isTTY !== true) throw misuse(`rm would ask first`, 'give --yes where nobody can answer');
    if (!(await confirm(shell, `Delete ${what}${version === undefined ? ' with all its versions' : ''}?`))) {
      output.note('not deleted');
      return 1;
    }
  }
  if (version === undefined) await client.functions.delete(name);
  else await client.functions.deleteVersion(name, version);
  const shown = { functionName: name, ...(version !== undefined && { version }), deleted: true };
  output.show(shown, () => `${what} deleted`);
  return 0;
}

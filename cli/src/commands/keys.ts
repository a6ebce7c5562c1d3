import { Failure, messageOf } from '../failure.js';
import type { AddVerbs } from '../verbs.js';
import type { Session } from '../session.js';

interface KeysOptions {
  registry?: string[];
}

export const addKeysVerb: AddVerbs = (program, act) => {
  program
    .command('keys')
    .description("make a cluster's CURVE keys and token secret: a file each, for FAAS_…_FILE")
    .argument('<dir>', 'where none of them may be yet')
    .option(
      '--registry <address...>',
      'make a login for the registry at this address too, as in FAAS_REGISTRY',
    )
    .addHelpText('after', '\nExample:\n  $ panal keys secrets --registry 127.0.0.1:5000')
    .action(act(keys));
};

async function keys({ output }: Session, dir: string, { registry = [] }: KeysOptions): Promise<undefined> {
  // Loads ZeroMQ, which no other verb needs.
  const { KeysInUse, makeKeys, makeRegistryLogin } = await import('@panal/broker/keys');
  const make = async (): Promise<string[]> => {
    const files = await makeKeys(dir);
    return registry.length === 0 ? files : [...files, ...(await makeRegistryLogin(dir, registry))];
  };
  const files = await make().catch((error: unknown) => {
    const hint =
      error instanceof KeysInUse ? 'give another folder, or move these keys away first' : undefined;
    throw new Failure(messageOf(error), { hint, cause: error });
  });
  output.show({ dir, files }, () => `${dir}: ${files.join(', ')}`);
}

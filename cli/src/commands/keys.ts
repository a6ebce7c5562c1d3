import { Failure, messageOf } from '../failure.js';
import type { AddVerbs } from '../program.js';
import type { Session } from '../session.js';

export const addKeysVerb: AddVerbs = (program, act) => {
  program
    .command('keys')
    .description("make a cluster's CURVE keys and token secret: a file each, for FAAS_…_FILE")
    .argument('<dir>', 'where none of them may be yet')
    .addHelpText('after', '\nExample:\n  $ panal keys secrets')
    .action(act(keys));
};

async function keys({ output }: Session, dir: string): Promise<undefined> {
  // Loads ZeroMQ, which no other verb needs.
  const { KeysInUse, makeKeys } = await import('@panal/broker/keys');
  const files = await makeKeys(dir).catch((error: unknown) => {
    const hint =
      error instanceof KeysInUse ? 'give another folder, or move these keys away first' : undefined;
    throw new Failure(messageOf(error), { hint, cause: error });
  });
  output.show({ dir, files }, () => `${dir}: ${files.join(', ')}`);
}

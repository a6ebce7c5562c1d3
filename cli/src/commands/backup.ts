import { ApiError } from '@panal/client';
import { createReadStream, createWriteStream, Stats } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { explain } from '../explain.js';
import { Failure, messageOf } from '../failure.js';
import { bytes } from '../output.js';
import type { AddVerbs } from '../verbs.js';
import type { Session } from '../session.js';
import { whileWaiting } from '../waiting.js';

export const addBackupVerbs: AddVerbs = (program, act) => {
  program
    .command('backup')
    .description('copy all that the broker keeps into a file, while it runs')
    .argument('<file>', 'or - for stdout')
    .addHelpText(
      'after',
      "\nThe operator's token, which the broker has in FAAS_OPERATOR_TOKEN, is to be in PANAL_TOKEN. The file has what" +
        '\nproves who users are: keep it from others.\n\nExample:\n  $ PANAL_TOKEN=… panal backup panal.tar',
    )
    .action(act(backUp));
  program
    .command('restore')
    .description("make a broker's data folder from a backup; no broker may run there")
    .argument('<file>', 'or - for stdin')
    .argument('[dir]', 'default: where `panal up` has its broker, FAAS_DATA_DIR/broker')
    .addHelpText('after', '\nExample:\n  $ panal restore panal.tar /var/lib/panal')
    .action(act(restoreFrom));
};

async function backUp({ client, output, shell }: Session, file: string): Promise<undefined> {
  const size = await whileWaiting(async (signal) => {
    const backup = await client.backup({ signal }).catch((error: unknown) => {
      throw explained(error);
    });
    const counted = new Counted(backup);
    if (file === '-') await pipeline(counted, shell.stdout, { end: false, signal });
    else await writeWhole(file, counted, signal);
    return counted.size;
  });
  if (file !== '-') output.show({ file, size }, () => `${file}: ${bytes(size)}`);
}

/** Writes beside the file and puts it in its place at the end: what was there stays until then. */
async function writeWhole(
  file: string,
  backup: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const draft = `${file}.part`;
  try {
    await pipeline(backup, createWriteStream(draft, { mode: 0o600, flush: true }), { signal });
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    if (signal.aborted) throw signal.reason;
    throw explain(error) ?? new Failure(`no backup: ${messageOf(error)}`, { cause: error });
  }
}

/** A stream that is passed on, and its size so far. */
class Counted implements AsyncIterable<Uint8Array> {
  size = 0;
  readonly #stream: AsyncIterable<Uint8Array>;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#stream = stream;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const piece of this.#stream) {
      this.size += piece.byteLength;
      yield piece;
    }
  }
}

/** The operator is no user: to log in is no help. */
function explained(error: unknown): unknown {
  if (!(error instanceof ApiError && error.code === 'UNAUTHORIZED')) return error;
  const hint = "give the operator's token in PANAL_TOKEN";
  return new Failure(error.message, { code: error.code, hint, cause: error });
}

async function checkFile(file: string): Promise<void> {
  const found = await stat(file).catch((error: unknown) => error);
  if (found instanceof Stats && !found.isDirectory()) return;
  const isMissing = found instanceof Error && 'code' in found && found.code === 'ENOENT';
  const why = found instanceof Stats ? 'it is a folder' : messageOf(found);
  const message = isMissing ? `there is no file ${file}` : `${file} is no backup: ${why}`;
  throw new Failure(message, { hint: 'panal backup FILE makes one' });
}

async function restoreFrom(
  { output, shell }: Session,
  file: string,
  folder: string | undefined,
): Promise<undefined> {
  // Loads the store, which no other verb needs.
  const { restore, RestoreFailure } = await import('@panal/broker/restore');
  const given = shell.env.FAAS_DATA_DIR ?? '';
  const dir = folder ?? join(resolve(given === '' ? '.panal' : given), 'broker');
  if (file !== '-') await checkFile(file);
  const backup: AsyncIterable<Buffer> = file === '-' ? shell.stdin : createReadStream(file);
  try {
    const restored = await restore(backup, dir);
    const { createdAt, entries, bundles } = restored;
    output.show(
      { dir, ...restored },
      () => `${dir} as of ${createdAt}: ${entries} entries, ${bundles} bundles`,
    );
  } catch (error) {
    throw error instanceof RestoreFailure ? new Failure(error.message, { cause: error }) : error;
  }
}

import { jsonArgument } from '../arguments.js';
import { explain } from '../explain.js';
import { Failure } from '../failure.js';
import { FolderWatch } from '../folder-watch.js';
import { fingerprint, listFolder } from '../pack.js';
import { duration } from '../output.js';
import { prepareFunction } from '../prepare.js';
import type { AddVerbs } from '../verbs.js';
import type { Session } from '../session.js';
import { deployFolder } from '../upload.js';
import { whileWaiting } from '../waiting.js';
import { addDeployOptions, deploymentOf, type DeployOptions } from './deploy.js';
import { callAndWait, showCall } from './invoke.js';

export const addDevVerb: AddVerbs = (program, act) => {
  const command = program
    .command('dev')
    .description('deploy a folder and call its function, again after each change')
    .argument('<dir>')
    .argument('[params]', 'JSON for the calls, or - to read it from stdin');
  addDeployOptions(command)
    .addHelpText(
      'after',
      '\nEach change makes a version. Ctrl-C ends it.\n\nExample:\n  $ panal dev hello \'{"name":"Ana"}\'',
    )
    .action(act(dev));
};

async function dev(
  session: Session,
  folder: string,
  params: string | undefined,
  options: DeployOptions,
): Promise<undefined> {
  const text = await jsonArgument(params, session.shell.stdin);
  await deploymentOf(folder, options); // What is wrong from the start is no change to wait for.
  const watch = new FolderWatch(folder);
  try {
    await whileWaiting(async (signal) => {
      let before = '';
      for (;;) {
        const listing = await listFolder(folder);
        // Watched before it is read: what changes meanwhile is seen by the next round.
        watch.follow(listing.folders);
        const now = await fingerprint(folder, listing);
        if (now !== before) await round(session, folder, options, text, signal);
        before = now;
        await watch.change(signal);
      }
    });
  } catch (error) {
    // Ctrl-C is how it is ended.
    if (!(error instanceof Failure && error.code === 'INTERRUPTED')) throw error;
  } finally {
    watch.close();
  }
}

/** Deploys and calls once. What goes wrong is shown, for the next change may mend it. */
async function round(
  session: Session,
  folder: string,
  options: DeployOptions,
  params: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { output } = session;
  try {
    const view = await deployFolder(session, await deploymentOf(folder, options));
    signal.throwIfAborted();
    await prepareFunction(session, view, signal);
    const { functionName, version } = view;
    output.note(`panal: ${functionName} version ${version}`);
    signal.throwIfAborted();
    const call = await callAndWait(session, functionName, params, signal);
    showCall(call, output);
    const { result } = call;
    // Results of several rounds follow each other, also where no terminal shows them.
    if (!output.json && !output.isTerminal && result !== undefined && !result.endsWith('\n'))
      output.bytes(Buffer.from('\n'));
    if (call.timings !== undefined) output.note(`panal: took ${duration(call.timings.total)}`);
  } catch (error) {
    const failure = explain(error);
    if (signal.aborted || failure === undefined) throw error;
    const { message, hint } = failure;
    output.note(`panal: ${message}${hint === undefined ? '' : ` — ${hint}`}`);
  }
}

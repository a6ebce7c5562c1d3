import { readdir } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { NAME_PATTERN } from '@panal/protocol';
import type { FunctionView } from '@panal/client';
import type { Command } from 'commander';
import { misuse } from '../failure.js';
import { runtimeFor } from '../language.js';
import { prepareFunction } from '../prepare.js';
import { changeSettings, checkName, readProject } from '../project.js';
import type { AddVerbs } from '../verbs.js';
import type { Session } from '../session.js';
import { deployFolder, type Deployment } from '../upload.js';
import { whileWaiting } from '../waiting.js';

export interface DeployOptions {
  name?: string;
  runtime?: string;
  set?: string[];
}

/** Adds the options that say as what a folder is deployed. */
export function addDeployOptions(command: Command): Command {
  return command
    .option('--name <name>', 'name of the function; else as panal.json says, or of the folder')
    .option('--runtime <runtime>', 'runtime of the function; else as panal.json says, or by its files')
    .option(
      '--set <key=value>',
      'a setting, such as timeoutMs=5000 or env.MODE=fast; may be given again',
      (change: string, before: string[] | undefined) => [...(before ?? []), change],
    );
}

export const addDeployVerb: AddVerbs = (program, act) => {
  const command = program
    .command('deploy')
    .description('deploy a folder, or an image, as the next version of a function')
    .argument('[dir]', 'the folder; what its .panalignore names is left out');
  addDeployOptions(command)
    .option('--image <image>', 'deploy this image, not a folder')
    .option('--no-prepare', 'leave dependencies, images and start to the first call')
    .addHelpText(
      'after',
      '\nExample:\n  $ panal deploy hello --set memoryMb=128\n' +
        '  $ panal deploy --image example/reverse-string --name reverse',
    )
    .action(act(deploy));
};

async function deploy(
  session: Session,
  folder: string | undefined,
  { image, prepare = true, ...options }: DeployOptions & { image?: string; prepare?: boolean },
): Promise<undefined> {
  if ((folder === undefined) === (image === undefined))
    throw misuse('give a folder, or an image with --image');
  const view =
    folder === undefined
      ? await deployImage(session, image ?? '', options)
      : await deployFolder(session, await deploymentOf(folder, options));
  if (prepare) await whileWaiting((signal) => prepareFunction(session, view, signal));
  session.output.show(view, () => `${view.functionName} version ${view.version}`);
}

interface Naming {
  name?: string | undefined;
  runtime?: string | undefined;
}

const isWhole = ({ name, runtime }: Naming): boolean => name !== undefined && runtime !== undefined;

const defined = ({ name, runtime }: Naming): Naming => ({
  ...(name !== undefined && { name }),
  ...(runtime !== undefined && { runtime }),
});

/** What a folder with a handler, or with a program of a bundled runtime, says by its files and its own name. */
async function impliedBy(folder: string): Promise<Naming> {
  const files = await readdir(folder).catch(() => []);
  const runtime = runtimeFor(files);
  if (runtime === undefined) return {};
  const name = basename(resolve(folder));
  return { runtime, ...(NAME_PATTERN.test(name) && { name }) };
}

/** What `panal.json` and the options say together, and the files where they leave it open. @throws Failure */
export async function deploymentOf(folder: string, options: DeployOptions): Promise<Deployment> {
  const project = await readProject(folder);
  const given = { name: options.name ?? project.name, runtime: options.runtime ?? project.runtime };
  const { name, runtime } = isWhole(given) ? given : { ...(await impliedBy(folder)), ...defined(given) };
  const { set = [] } = options;
  if (name === undefined) throw misuse('the function has no name', 'give it in panal.json, or with --name');
  if (runtime === undefined)
    throw misuse('the function has no runtime', 'give it in panal.json, or with --runtime');
  const settings = changeSettings(project.settings ?? {}, set);
  return { folder: resolve(folder), name: checkName(name), runtime, settings };
}

async function deployImage(
  { client }: Session,
  image: string,
  { name, runtime, set = [] }: DeployOptions,
): Promise<FunctionView> {
  if (runtime !== undefined) throw misuse('an image has no runtime: leave out --runtime');
  if (name === undefined) throw misuse('the function has no name', 'give it with --name');
  const functionName = checkName(name);
  return await client.functions.registerImage({ functionName, image, ...changeSettings({}, set) });
}

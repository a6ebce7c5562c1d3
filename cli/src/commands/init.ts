import { constants } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NAME_PATTERN } from '@panal/protocol';
import { Argument } from 'commander';
import { Failure } from '../failure.js';
import { PROJECT_FILE } from '../ignore.js';
import type { AddVerbs } from '../verbs.js';
import type { Session } from '../session.js';

const TEMPLATES = fileURLToPath(new URL('../../templates/', import.meta.url));

export const addInitVerb: AddVerbs = (program, act) => {
  program
    .command('init')
    .description('make a function that is ready to be deployed')
    .addArgument(new Argument('<language>', 'what it is written in').choices(['python', 'nodejs']))
    .argument('<dir>', 'its folder; the function gets its name')
    .addHelpText(
      'after',
      '\nExample:\n  $ panal init python hello && panal deploy hello && panal invoke hello',
    )
    .action(act(init));
};

async function init({ output }: Session, language: string, dir: string): Promise<undefined> {
  const name = nameFor(basename(resolve(dir)));
  const template = join(TEMPLATES, language);
  const files = await readdir(template);
  for (const file of files) {
    const there = await stat(join(dir, file)).catch(() => undefined);
    if (there !== undefined)
      throw new Failure(`${join(dir, file)} is there already`, { hint: 'give a new folder' });
  }
  await mkdir(dir, { recursive: true });
  for (const file of files) {
    const to = join(dir, file);
    if (file !== PROJECT_FILE) await copyFile(join(template, file), to, constants.COPYFILE_EXCL);
    else
      await writeFile(to, (await readFile(join(template, file), 'utf8')).replace('NAME', name), {
        flag: 'wx',
      });
  }
  const shown = { functionName: name, folder: dir, files };
  output.show(shown, () => `${name} is ready in ${dir}; deploy it with: panal deploy ${dir}`);
}

/** The folder's name, where it can name a function; else what comes nearest to it. */
function nameFor(folder: string): string {
  const name = folder
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 128);
  return NAME_PATTERN.test(name) ? name : 'hello';
}

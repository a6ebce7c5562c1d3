import { execFile } from 'node:child_process';
import { lstat, readdir, readlink, realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import type { Link } from './bubblewrap.js';

const run = promisify(execFile);

/** Where the programs live that functions use. */
export interface Programs {
  /** `PATH` of every call. */
  path: string;
  /** Folders and files outside of the system's own that this PATH, and what it leads to, needs. */
  places: string[];
  /** Links among these, made again as they are. */
  links: Link[];
}

const SYSTEM_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** An interpreter, as it describes itself; every path in it is absolute. */
interface Interpreter {
  /** Folder with `bin`, `lib` and whatever else was installed. */
  prefix: string;
  /** What of the prefix it cannot do without; some of it may be missing. */
  parts: string[];
}

/**
 * What to ask an interpreter of the worker's PATH: that may lead to a shim (pyenv, asdf) or a link (nvm) that means
 * nothing without the rest of its installation.
 */
const QUESTIONS: readonly [command: string, ...args: string[]][] = [
  [
    'python3',
    '-c',
    `import os, sys, sysconfig
bin = os.path.join(sys.base_prefix, "bin")
version = "%d.%d" % sys.version_info[:2]
names = ["python3", "python", "python" + version, "pip", "pip3", "pip" + version]
library = os.path.join(sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("LDLIBRARY") or "")
parts = [os.path.join(bin, name) for name in names] + [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
print("\\n".join([sys.base_prefix] + parts + [library, library + ".1.0"]))`,
  ],
  [
    'node',
    '-p',
    `const { dirname, join } = require("node:path");
const prefix = dirname(dirname(process.execPath));
const parts = ["bin/npm", "bin/npx", "lib/node_modules/npm", "include/node"].map((part) => join(prefix, part));
[prefix, process.execPath, ...parts].join('\\n')`,
  ],
];

/** What is at the top of a folder into which an interpreter was installed, and nothing else. */
const OF_AN_INSTALLATION =
  /^(bin|sbin|lib|lib32|lib64|libexec|include|share|man|doc|etc|ssl|compiler_compat|condabin|conda-meta|pkgs|shell|[a-z0-9_]+-conda(_[a-z0-9_]+)?-linux-gnu|(README|LICENSE|CHANGELOG|NEWS)(\..*)?)$/;

/** Finds the interpreters that the worker's own PATH leads to, so that functions get the same ones. */
export async function findPrograms(): Promise<Programs> {
  const answers = await Promise.all(QUESTIONS.map(([command, ...args]) => ask(command, args)));
  const found = answers.filter((each) => each !== undefined && !isOfTheSystem(each.prefix)) as Interpreter[];
  const seen = await Promise.all(found.map((each) => seenOf(each)));
  const folders = found.map(({ prefix }) => join(prefix, 'bin'));
  return {
    path: [...new Set([...folders, ...SYSTEM_PATH])].join(':'),
    places: [...new Set(seen.flatMap(({ places }) => places))],
    links: seen.flatMap(({ links }) => links),
  };
}

async function ask(command: string, args: readonly string[]): Promise<Interpreter | undefined> {
  try {
    const { stdout } = await run(command, args, { timeout: 10_000 });
    const [prefix = '', ...parts] = stdout.trim().split('\n');
    return { prefix: await realpath(prefix), parts };
  } catch {
    return undefined;
  }
}

/**
 * What of an interpreter functions see: its folder, where nothing else is in it; else its parts. An interpreter may
 * lie in somebody's home (`~/bin/node`), or beside other things.
 */
async function seenOf({ prefix, parts }: Interpreter): Promise<Pick<Programs, 'places' | 'links'>> {
  const entries = await readdir(prefix).catch(() => ['?']);
  const alone = entries.includes('lib') && entries.every((name) => OF_AN_INSTALLATION.test(name));
  if (alone && prefix !== homedir() && basename(prefix) !== '.local') return { places: [prefix], links: [] };
  const places: string[] = [];
  const links: Link[] = [];
  for (const part of new Set(parts)) {
    const found = await lstat(part).catch(() => undefined);
    if (found?.isSymbolicLink()) links.push({ at: part, target: await readlink(part) });
    else if (found !== undefined) places.push(part);
  }
  return { places, links };
}

function isOfTheSystem(folder: string): boolean {
  return folder === '/usr' || folder.startsWith('/usr/');
}

/** Whether a command can be run, and ends well. */
export async function works(command: string, ...args: string[]): Promise<boolean> {
  try {
    await run(command, args, { timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

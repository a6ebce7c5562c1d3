/**
 * What `npm start` and `npm test` do first: install and build whatever is missing or out of date. Costs a few
 * milliseconds when nothing is. Uses nothing but Node.js, for nothing else may be there yet.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

const OLDEST_NODE = [20, 19];
const INSTALL_STAMP = join(ROOT, 'node_modules', '.panal-stamp');
const BUILD_STAMP = join(ROOT, 'node_modules', '.panal-build-stamp');
const AGENT = join(ROOT, 'runtimes', 'agent');
const NODE_RUNTIME = join(ROOT, 'runtimes', 'nodejs');
const LOCK_POLL_MS = 100;
/** Between two pictures of the time that a step has taken, on a terminal. */
const TICK_MS = 1000;

/** Leaves the checkout installed and built, and returns true; or says what is wrong, and returns false. */
export async function setUp() {
  try {
    requireNode();
    if (!isInstalled() || !isBuilt()) await locked(installAndBuild);
    // A compiler may have come since the last build.
    else if (!existsSync(join(AGENT, 'build', 'agent'))) buildAgent();
    return true;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    return false;
  }
}

/** What a user can mend; the message says it all. */
class SetupError extends Error {}

function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_NODE;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
  throw new SetupError(`needs Node.js ${OLDEST_NODE.join('.')} or newer; this is ${process.versions.node}`);
}

async function installAndBuild() {
  if (!isInstalled()) await install();
  if (!isBuilt()) await build();
}

function isInstalled() {
  return isStamped(INSTALL_STAMP, lockFileHash());
}

function isBuilt() {
  return compiled().every(hasOutput) && isStamped(BUILD_STAMP, sourcesHash());
}

function hasOutput(workspace) {
  return existsSync(join(ROOT, workspace, 'dist'));
}

async function install() {
  // The compiler is a development dependency; NODE_ENV=production would leave it out.
  const ci = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  await run('installing dependencies', 'about a minute', 'npm', ci);
  writeFileSync(INSTALL_STAMP, lockFileHash());
}

async function build() {
  const hash = sourcesHash();
  // The compiler trusts its notes of the last build, and would not make a removed folder again.
  const force = compiled().every(hasOutput) ? [] : ['--force'];
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  await run('building', 'about half a minute', process.execPath, [tsc, '-b', ...force]);
  buildAgent();
  spawnSync(process.execPath, [join(NODE_RUNTIME, 'build.mjs')], { cwd: ROOT, stdio: ['ignore', 2, 2] });
  writeFileSync(BUILD_STAMP, hash);
}

/** Fails nothing: without a compiler there is no agent, and everything works, slower. */
function buildAgent() {
  spawnSync(process.execPath, [join(AGENT, 'build.mjs')], { cwd: ROOT, stdio: ['ignore', 2, 2] });
}

/** The workspaces that the compiler builds. */
function compiled() {
  const { workspaces } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  return workspaces.filter((name) => existsSync(join(ROOT, name, 'tsconfig.json')));
}

function lockFileHash() {
  return createHash('sha256')
    .update(readFileSync(join(ROOT, 'package-lock.json')))
    .digest('hex');
}

/** Names, sizes and times of all that a build reads: reading them all would take longer than to look. */
function sourcesHash() {
  const hash = createHash('sha256');
  const add = (path) => {
    const { size, mtimeMs } = statSync(path);
    hash.update(`${path} ${size} ${mtimeMs}\n`);
  };
  for (const name of ['tsconfig.json', 'tsconfig.base.json']) add(join(ROOT, name));
  for (const name of compiled()) {
    add(join(ROOT, name, 'package.json'));
    add(join(ROOT, name, 'tsconfig.json'));
    for (const path of filesBelow(join(ROOT, name, 'src'))) add(path);
  }
  add(join(NODE_RUNTIME, 'build.mjs'));
  for (const path of filesBelow(AGENT)) if (!path.startsWith(join(AGENT, 'build/'))) add(path);
  return hash.digest('hex');
}

function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

function isStamped(stamp, value) {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === value;
}

/**
 * Runs `work` while no other command of this checkout does. The lock is a link whose target is its holder's process
 * number: it is made in one step, and one that was left behind by a killed command is told by its number.
 */
async function locked(work) {
  const folder = join(ROOT, '.panal');
  const lock = join(folder, 'setup.lock');
  mkdirSync(folder, { recursive: true });
  for (let waited = false; !take(lock); waited = true) {
    if (!waited) say('waiting for another command that installs or builds');
    await pause(LOCK_POLL_MS);
  }
  try {
    await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function take(lock) {
  try {
    symlinkSync(String(process.pid), lock);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    if (holderLives(lock)) return false;
    rmSync(lock, { force: true });
    return take(lock);
  }
}

function holderLives(lock) {
  try {
    process.kill(Number(readlinkSync(lock)), 0);
    return true;
  } catch (error) {
    // ENOENT: it was released just now.
    return error.code !== 'ESRCH' && error.code !== 'ENOENT';
  }
}

/**
 * Runs a command as a step that is shown: one line at its start and one at its end, and on a terminal the time that it
 * has taken until now.
 */
async function run(step, estimate, command, args) {
  say(`${step} (${estimate})`);
  const since = Date.now();
  const seconds = () => Math.round((Date.now() - since) / 1000);
  const tick = setInterval(() => show(`panal: ${step}, ${seconds()} s`), TICK_MS);
  // What a tool reports goes to stderr, so that stdout is the command's own.
  const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 2, 2] });
  try {
    const [status] = await once(child, 'close');
    if (status !== 0) throw new Error(`exit code ${status}`);
  } catch (error) {
    throw new SetupError(`failed: ${[command, ...args].join(' ')} (${error.message})`);
  } finally {
    clearInterval(tick);
    show('');
  }
  say(`${step} took ${seconds()} s`);
}

/** Puts a text in the place of the last line of a terminal; what is not one gets no such text. */
function show(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r${text}\u001b[K`);
}

function say(text) {
  console.error(`panal: ${text}`);
}

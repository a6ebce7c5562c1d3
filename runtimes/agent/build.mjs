// Builds the agent as a static binary, where there is a C compiler and the sources are newer than the last build.
// Prints one line otherwise, and succeeds: without the agent everything works, slower.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('.', import.meta.url));
const target = `${folder}build/agent`;
const compiler = process.env.CC ?? 'cc';
const flags = [
  '-std=c11',
  '-Os',
  '-static',
  '-s',
  '-Wall',
  '-Wextra',
  '-Wpedantic',
  '-Wshadow',
  '-Wconversion',
];

const files = readdirSync(folder).filter((name) => /\.[ch]$/.test(name));
const modified = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const newest = Math.max(...files.map((name) => modified(folder + name)), modified(`${folder}build.mjs`));

function works(...args) {
  try {
    execFileSync(compiler, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

if (modified(target) > newest) {
  console.log('agent: up to date');
} else if (process.platform !== 'linux') {
  console.log('agent: not built, it is for Linux only');
} else if (!works('--version')) {
  console.log(`agent: not built, there is no C compiler (${compiler}); calls take the slower path`);
} else {
  mkdirSync(`${folder}build`, { recursive: true });
  const sources = files.filter((name) => name.endsWith('.c'));
  // Renamed into place: a running agent's file cannot be written, and two builds at once must not mix.
  const unfinished = `${target}.${process.pid}`;
  execFileSync(compiler, [...flags, '-o', unfinished, ...sources], { cwd: folder, stdio: 'inherit' });
  renameSync(unfinished, target);
  console.log('agent: built');
}

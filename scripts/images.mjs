/**
 * `npm run images`: builds panal/brokerfaas and panal/workerfaas. Options, behind a `--`:
 *   --push NAMESPACE     tags them for this namespace (`acme`, `ghcr.io/acme`, `localhost:5000/panal`), and pushes them
 *   --namespace NAME     tags them so without pushing; `panal` where neither is given
 *   --tag TAG            by default two: the version in package.json, and `latest`
 *   --base IMAGE         what they run and are built on: Node.js 20.19 or newer with npm, glibc
 *   --platform A,B       for several architectures, such as linux/amd64,linux/arm64: by docker buildx, and only with --push
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './setup.mjs';

const TARGETS = ['broker', 'worker'];

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const options = readOptions();
const namespace = options.push ?? options.namespace ?? 'panal';
const tags = options.tag ?? [version, 'latest'];

for (const target of TARGETS) {
  const names = tags.map((tag) => `${namespace}/${target}faas:${tag}`);
  if (options.platform === undefined) {
    docker('build', ...buildArguments(target, names), '.');
    if (options.push !== undefined) for (const name of names) docker('push', name);
  } else {
    // Images of several architectures cannot stay with the engine: they go to the registry as they are built.
    const platform = `--platform=${options.platform}`;
    docker('buildx', 'build', platform, '--push', ...buildArguments(target, names), '.');
  }
}

function readOptions() {
  const text = { type: 'string' };
  try {
    const { values } = parseArgs({
      options: {
        push: text,
        namespace: text,
        tag: { ...text, multiple: true },
        base: text,
        platform: text,
      },
    });
    if (values.platform !== undefined && values.push === undefined) fail('--platform needs --push NAMESPACE');
    return values;
  } catch (error) {
    return fail(error.message);
  }
}

function buildArguments(target, names) {
  const { base } = options;
  const bases = base === undefined ? {} : { BASE: base, BUILD_BASE: base, AGENT_BASE: base };
  const values = { ...bases, VERSION: version, REVISION: revision() };
  return [
    `--target=${target}`,
    ...Object.entries(values).map(([name, value]) => `--build-arg=${name}=${value}`),
    ...names.map((name) => `--tag=${name}`),
  ];
}

/** The commit, where this is a checkout with git. */
function revision() {
  const { status, stdout } = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: ROOT, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : '';
}

function docker(...args) {
  console.error(`images: docker ${args.join(' ')}`);
  const { status, error } = spawnSync('docker', args, { cwd: ROOT, stdio: 'inherit' });
  if (error !== undefined) fail(`docker does not run: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function fail(why) {
  console.error(`images: ${why}`);
  process.exit(1);
}

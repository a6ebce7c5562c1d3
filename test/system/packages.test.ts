import { execFile } from 'node:child_process';
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { z } from 'zod';
import { ManagedProcess } from '../../testkit/managed-process.js';
import { tarGz } from '../../testkit/archives.js';
import { temporaryFolder } from '../support/folder.js';
import { freePorts } from '../../testkit/ports.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** Deploys a function and calls it. */
const PROGRAM = `
import { readFile } from 'node:fs/promises';
import { Panal } from '@panal/client';
const panal = new Panal({ url: process.argv[2] });
const module = new Blob([await readFile('module.tar.gz')]);
await panal.functions.upload({ name: 'hello', runtime: 'noderuntime', module });
const call = await panal.invoke('hello', { name: 'Ana' });
console.log(call.status, call.result);
`;
const HANDLER = 'export default ({ name }) => `Hello, ${name}!`;';

const manifestSchema = z.object({
  exports: z.record(z.string(), z.object({ types: z.string() })).optional(),
});

describe('The packages in an empty folder', function () {
  this.timeout(600_000);
  this.slow(120_000);
  const folder = temporaryFolder();

  it('have types and a README, run a cluster, and call it', async () => {
    const [packed, used] = [join(folder(), 'packed'), join(folder(), 'used')];
    await mkdir(packed);
    await mkdir(used);
    // They are built already: this is what the set-up of the tests does first.
    const pack = ['pack', '--workspaces', '--ignore-scripts', '--pack-destination', packed];
    await run('npm', pack, { cwd: ROOT });
    const archives = (await readdir(packed)).map((name) => join(packed, name));
    await writeFile(join(used, 'package.json'), '{ "private": true, "type": "module" }');
    const quiet = ['--no-audit', '--no-fund', '--prefer-offline'];
    await run('npm', ['install', ...quiet, ...archives], { cwd: used });

    const packages = join(used, 'node_modules', '@panal');
    for (const name of await readdir(packages)) {
      await access(join(packages, name, 'README.md'));
      const manifest = JSON.parse(await readFile(join(packages, name, 'package.json'), 'utf8')) as unknown;
      const { exports = {} } = manifestSchema.parse(manifest);
      for (const { types } of Object.values(exports)) await access(join(packages, name, types));
    }

    const port = await freePorts(4);
    const cluster = new ManagedProcess('panal up', {
      argv: [join(used, 'node_modules', '.bin', 'panal'), 'up'],
      env: {
        ...process.env,
        PORT: String(port),
        ZMQ_BIND_ADDRESS: `tcp://127.0.0.1:${port + 1}`,
        FAAS_DATA_DIR: join(folder(), 'data'),
        FAAS_SANDBOX: 'process',
      },
    });
    cluster.start();
    try {
      await cluster.says('Try it in another terminal');
      await writeFile(join(used, 'hello.mjs'), PROGRAM);
      await writeFile(join(used, 'module.tar.gz'), tarGz([{ name: 'handler.mjs', content: HANDLER }]));
      const url = `http://127.0.0.1:${port}`;
      expect((await run('node', ['hello.mjs', url], { cwd: used })).stdout).to.equal('DONE Hello, Ana!\n');
      const invoke = ['panal', '--url', url, 'invoke', 'hello', '{"name":"Ben"}'];
      expect((await run('npx', invoke, { cwd: used })).stdout).to.equal('Hello, Ben!');
    } finally {
      await cluster.stop();
    }
  });
});

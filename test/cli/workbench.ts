import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Cluster } from '../../testkit/cluster.js';
import { PanalRun, type Ended, type RunOptions } from './panal.js';

/** A handler that does what its parameters say. */
const OBEDIENT = `
import { writeSync } from 'node:fs';
export default async ({ log, sleep, fail, bytes, give } = {}) => {
  if (log !== undefined) console.log(log);
  if (sleep !== undefined) await new Promise((resolve) => setTimeout(resolve, sleep));
  if (fail !== undefined) throw new Error(fail);
  return bytes === undefined ? (give ?? 'nothing') : Buffer.from(bytes);
};
`;

/** A cluster, a folder, and the command to be run there. */
export class Workbench {
  readonly cluster: Cluster;
  readonly folder: string;

  constructor(cluster: Cluster, folder: string) {
    this.cluster = cluster;
    this.folder = folder;
  }

  /** Starts the command with the cluster's address in `PANAL_URL`. */
  start(args: readonly string[], options: Partial<RunOptions> = {}): PanalRun {
    const { env, ...rest } = options;
    return new PanalRun(args, { cwd: this.folder, env: { PANAL_URL: this.cluster.url, ...env }, ...rest });
  }

  async run(...args: string[]): Promise<Ended> {
    return await this.start(args).end();
  }

  /** Runs the command, which must succeed, and gives what it put out. */
  async output(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    if (code !== 0) throw new Error(`panal ${args.join(' ')} ended with ${String(code)}: ${stderr}`);
    return stdout;
  }

  /** The same with `--json`. */
  async json(...args: string[]): Promise<unknown> {
    return JSON.parse(await this.output(...args, '--json'));
  }

  /** Writes files below the folder. */
  async write(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [path, content] of Object.entries(files)) {
      const file = join(this.folder, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
    }
  }

  /** Deploys a function that does what its parameters say. */
  async deployObedient(name: string, settings = {}): Promise<void> {
    await this.write({
      [`${name}/handler.mjs`]: OBEDIENT,
      [`${name}/panal.json`]: JSON.stringify({
        name,
        runtime: 'noderuntime',
        settings: { lifecycle: 'hot', ...settings },
      }),
    });
    await this.output('deploy', name);
  }
}

/** One workbench for all tests of the group it is called in. */
export function workbench(settings: Record<string, string> = {}): () => Workbench {
  let bench: Workbench | undefined;
  before(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'panal-cli-'));
    bench = new Workbench(
      await Cluster.start({ settings: { FAAS_SANDBOX: 'process', ...settings } }),
      folder,
    );
  });
  after(async () => {
    await bench?.cluster.stop();
    if (bench !== undefined) await rm(bench.folder, { recursive: true, force: true });
  });
  return () => {
    if (bench === undefined) throw new Error('called outside of a test');
    return bench;
  };
}

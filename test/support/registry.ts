import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at, THIS_MACHINE, type Place } from '../../testkit/network.js';
import { freePorts } from '../../testkit/ports.js';
import { eventually } from '../../testkit/wait.js';

/** Who may enter a private registry. */
export const VISITOR = { username: 'ana', password: 'secret' };
// bcrypt of that password, as `htpasswd -B` writes it.
const HTPASSWD = 'ana:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n';

/** A real registry, the one that the image registry:2 has, on a port of its own. */
export class TestRegistry {
  /** Host and port. */
  readonly address: string;
  readonly #folder: string;
  readonly #place: Place;
  #child: ChildProcess | undefined;

  private constructor(folder: string, place: Place, port: number) {
    this.#folder = folder;
    this.#place = place;
    this.address = `${place.address}:${port}`;
  }

  /** @param options.private it lets in nobody but the visitor */
  static async start(options: { private?: boolean; place?: Place } = {}): Promise<TestRegistry> {
    const folder = await mkdtemp(join(tmpdir(), 'panal-registry-'));
    const registry = new TestRegistry(folder, options.place ?? THIS_MACHINE, await freePorts());
    await writeFile(join(folder, 'htpasswd'), HTPASSWD);
    const config = {
      version: '0.1',
      log: { level: 'error' },
      storage: { filesystem: { rootdirectory: join(folder, 'data') } },
      http: { addr: registry.address },
      ...(options.private === true && {
        auth: { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } },
      }),
    };
    // JSON is YAML.
    await writeFile(join(folder, 'config.yml'), JSON.stringify(config));
    await registry.resume();
    return registry;
  }

  /** The file in which `docker login` would have left the visitor's credentials. */
  async credentials({ username, password } = VISITOR): Promise<string> {
    const path = join(this.#folder, `${username}-${password}.json`);
    const auth = Buffer.from(`${username}:${password}`).toString('base64');
    await writeFile(path, JSON.stringify({ auths: { [this.address]: { auth } } }));
    return path;
  }

  /** It goes away; what it holds stays. */
  async pause(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child?.exitCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }

  async resume(): Promise<void> {
    const command = ['docker-registry', 'serve', join(this.#folder, 'config.yml')];
    const child = spawn(...at(this.#place, command), { stdio: 'ignore' });
    this.#child = child;
    await eventually('the registry answers', async () => {
      if (child.exitCode !== null) throw new Error(`docker-registry ended with code ${child.exitCode}`);
      return await fetch(`http://${this.address}/v2/`).then(
        () => true,
        () => false,
      );
    });
  }

  /** Tags of a repository in it. */
  async tags(repository: string): Promise<string[]> {
    const headers = {
      Authorization: `Basic ${Buffer.from(`${VISITOR.username}:${VISITOR.password}`).toString('base64')}`,
    };
    const answer = await fetch(`http://${this.address}/v2/${repository}/tags/list`, { headers });
    const { tags } = (await answer.json()) as { tags?: string[] };
    return tags ?? [];
  }

  async stop(): Promise<void> {
    await this.pause();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

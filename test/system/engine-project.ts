import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually } from '../../testkit/wait.js';
import { HttpClient } from '../../testkit/http-client.js';

const run = promisify(execFile);

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A cluster that this machine's engine runs, under a name and on ports of its own. */
export class EngineProject extends HttpClient {
  /** Of the project, of the cluster in its labels, and of the namespace of its images. */
  readonly name: string;
  /** Host and port of its registry. */
  readonly registry: string;
  readonly env: NodeJS.ProcessEnv;

  protected constructor(port: number, settings: Record<string, string>) {
    super(`http://127.0.0.1:${port}`);
    this.name = `panal-test-${randomUUID().slice(0, 8)}`;
    this.registry = `127.0.0.1:${port + 1}`;
    this.env = {
      ...process.env,
      // The builder without BuildKit is the one that needs no plugin.
      DOCKER_BUILDKIT: '0',
      COMPOSE_DOCKER_CLI_BUILD: '0',
      PANAL_PORT: String(port),
      PANAL_REGISTRY_PORT: String(port + 1),
      PANAL_REGISTRY: this.registry,
      PANAL_PROMETHEUS_PORT: String(port + 2),
      PANAL_CLUSTER: this.name,
      PANAL_NAMESPACE: this.name,
      ...settings,
    };
  }

  /** Runs `docker ARGS`, and gives what it wrote. */
  async docker(...args: string[]): Promise<string> {
    return await this.run('docker', ...args);
  }

  /** Waits until calls can be served by so many workers. */
  async workers(count: number): Promise<void> {
    await eventually(
      `${count} workers`,
      async () => {
        try {
          // What is asked while the engine still sets up the port may never be answered.
          const signal = AbortSignal.timeout(2000);
          const response = await fetch(new URL('/workers', this.url), { signal, headers: this.headers });
          const workers = (await response.json()) as { state: string }[];
          return workers.filter(({ state }) => state === 'up').length === count;
        } catch {
          // The broker does not listen yet.
          return false;
        }
      },
      60_000,
    );
  }

  /** Ids of all that the engine has of one kind. */
  async all(kind: 'container' | 'network' | 'volume' | 'image'): Promise<Set<string>> {
    const args = kind === 'container' ? ['-a'] : [];
    const trunc = kind === 'volume' ? [] : ['--no-trunc'];
    return new Set(lines(await this.docker(kind, 'ls', '-q', ...trunc, ...args)));
  }

  /** Ids of what there is of one kind, found by the label of the cluster. */
  async labelled(kind: 'container' | 'network' | 'volume', role?: string): Promise<string[]> {
    const filters = [`--filter=label=panal.cluster=${this.name}`];
    if (role !== undefined) filters.push(`--filter=label=panal.role=${role}`);
    const all = kind === 'container' ? ['-a'] : [];
    return lines(await this.docker(kind, 'ls', '-q', ...all, ...filters));
  }

  /** Removes the images that it made or pushed. */
  protected async removeImages(): Promise<void> {
    const images = lines(await this.docker('images', '--format', '{{.Repository}}:{{.Tag}}'));
    const namespace = this.env.PANAL_NAMESPACE ?? this.name;
    const mine = images.filter(
      (image) => image.startsWith(`${namespace}/`) || image.startsWith(this.registry),
    );
    if (mine.length > 0) await this.docker('rmi', '-f', ...mine);
  }

  /** Runs a command with the cluster's variables, and gives what it wrote. */
  protected async run(command: string, ...args: string[]): Promise<string> {
    const { stdout } = await run(command, args, { cwd: ROOT, env: this.env, maxBuffer: 64 * 1024 * 1024 });
    return stdout.trim();
  }
}

export const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

import { join } from 'node:path';
import { freePorts } from '../../testkit/ports.js';
import { EngineProject, lines, ROOT } from './engine-project.js';

/** A compose file of this repository, brought up. */
export class ComposeProject extends EngineProject {
  readonly #file: string;
  /** Volumes of all containers there were: those without a name outlive a container that compose takes away. */
  readonly #volumes = new Set<string>();

  private constructor(file: string, port: number, settings: Record<string, string>) {
    super(port, settings);
    this.#file = join(ROOT, file);
  }

  static async of(file: string, settings: Record<string, string> = {}): Promise<ComposeProject> {
    return new ComposeProject(file, await freePorts(), settings);
  }

  /** Runs `docker-compose ARGS`. */
  async compose(...args: string[]): Promise<string> {
    const output = await this.run('docker-compose', '-f', this.#file, '-p', this.name, ...args);
    await this.#noteVolumes();
    return output;
  }

  /** Removes all of it, with what `docker run` added to it, and the images it made or pushed. */
  async down(): Promise<void> {
    const composed = lines(await this.compose('ps', '-q'));
    for (const id of await this.labelled('container')) {
      if (composed.some((each) => each.startsWith(id))) continue;
      await this.docker('stop', '-t', '20', id);
      await this.docker('rm', '-f', '-v', id);
    }
    await this.compose('down', '--volumes', '--remove-orphans', '--timeout', '20');
    if (this.#volumes.size > 0) await this.docker('volume', 'rm', '-f', ...this.#volumes);
    await this.removeImages();
  }

  async #noteVolumes(): Promise<void> {
    const containers = await this.labelled('container');
    if (containers.length === 0) return;
    const format = '{{range .Mounts}}{{println .Name}}{{end}}';
    for (const name of lines(await this.docker('inspect', '-f', format, ...containers)))
      this.#volumes.add(name);
  }
}

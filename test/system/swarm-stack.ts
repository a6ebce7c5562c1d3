import { freePorts } from '../../testkit/ports.js';
import { eventually } from '../../testkit/wait.js';
import { EngineProject, lines } from './engine-project.js';

const FILE = 'hub-deployment/swarm/docker-stack.yml';

/** hub-deployment/swarm, deployed on a Swarm of this machine's engine alone. */
export class SwarmStack extends EngineProject {
  /** Whether the engine was no Swarm before. */
  #began = false;

  /** @param secrets folder with the cluster's keys */
  static async of(secrets: string): Promise<SwarmStack> {
    return new SwarmStack(await freePorts(), { PANAL_SECRETS: secrets, PANAL_TAG: '1' });
  }

  /** Makes the engine a Swarm where it is none, and builds the images, tagged 1 and 2. */
  async prepare(): Promise<void> {
    if ((await this.docker('info', '--format', '{{.Swarm.LocalNodeState}}')) === 'inactive') {
      await this.docker('swarm', 'init', '--advertise-addr', '127.0.0.1');
      this.#began = true;
    }
    await this.run('npm', 'run', 'images', '--', '--namespace', this.name, '--tag', '1', '--tag', '2');
  }

  async deploy(): Promise<void> {
    await this.docker('stack', 'deploy', '--resolve-image', 'never', '-c', FILE, this.name);
  }

  /** Brings a service to the images with this tag; resolves once it is there. */
  async update(role: 'broker' | 'worker', tag: string): Promise<void> {
    const image = `${this.name}/${role}faas:${tag}`;
    const service = `${this.name}_${role}`;
    await this.docker('service', 'update', '-q', '--no-resolve-image', '--image', image, service);
  }

  async scale(workers: number): Promise<void> {
    await this.docker('service', 'scale', `${this.name}_worker=${workers}`);
  }

  /** Images of the containers that run, one of each. */
  async running(role: string): Promise<string[]> {
    const filters = [`label=panal.cluster=${this.name}`, `label=panal.role=${role}`, 'status=running'];
    const format = ['--format', '{{.Image}}'];
    return lines(await this.docker('ps', ...format, ...filters.flatMap((filter) => ['--filter', filter])));
  }

  /** Removes all of it. */
  async remove(): Promise<void> {
    const containers = await this.labelled('container');
    const format = '{{range .Mounts}}{{println .Name}}{{end}}';
    const volumes =
      containers.length === 0 ? [] : lines(await this.docker('inspect', '-f', format, ...containers));
    await this.docker('stack', 'rm', this.name);
    await eventually(
      'its containers are gone',
      async () => (await this.labelled('container')).length === 0,
      60_000,
    );
    await eventually(
      'its network is gone',
      async () => (await this.labelled('network')).length === 0,
      60_000,
    );
    const left = new Set([...volumes, ...(await this.labelled('volume'))]);
    if (left.size > 0) await this.docker('volume', 'rm', '-f', ...left);
    await this.removeImages();
    if (this.#began) await this.docker('swarm', 'leave', '--force');
  }
}

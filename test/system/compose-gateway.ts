import { join } from 'node:path';
import { freePorts } from '../../testkit/ports.js';
import { eventually } from '../../testkit/wait.js';
import { EngineProject, ROOT } from './engine-project.js';
import type { Gateway } from './gateway-checks.js';

/** Images of the gateways, as their compose files name them. */
export const GATEWAY_IMAGES = { nginx: 'nginx:1.28-alpine', apisix: 'apache/apisix:3.16.0-debian' } as const;

/** In the network of the compose files, which has one size for both. */
const ANOTHER_ADDRESS = '172.31.90.250';

/** A folder of hub-deployment/gateway, brought up without a worker. */
export class ComposeGateway extends EngineProject implements Gateway {
  readonly #file: string;

  private constructor(kind: string, port: number) {
    super(port, {});
    this.#file = join(ROOT, 'hub-deployment/gateway', kind, 'docker-compose.yml');
  }

  /** Builds Panal's images, and waits until the broker is reached through the gateway. */
  static async start(kind: keyof typeof GATEWAY_IMAGES): Promise<ComposeGateway> {
    const gateway = new ComposeGateway(kind, await freePorts());
    await gateway.run('npm', 'run', 'images', '--', '--namespace', gateway.name, '--tag', 'latest');
    await gateway.#compose('up', '-d', '--scale', 'worker=0');
    await gateway.#answers();
    return gateway;
  }

  /** Forgets who asked too often. */
  async reset(): Promise<void> {
    await this.#compose('restart', 'broker', 'gateway');
    await this.#answers();
  }

  async stopBroker(): Promise<void> {
    await this.#compose('stop', 'broker');
  }

  async startBroker(): Promise<void> {
    await this.#compose('start', 'broker');
  }

  async moveBroker(): Promise<void> {
    const broker = await this.#compose('ps', '-q', 'broker');
    const network = `${this.name}_default`;
    await this.docker('network', 'disconnect', network, broker);
    await this.docker('network', 'connect', '--alias', 'broker', '--ip', ANOTHER_ADDRESS, network, broker);
  }

  async down(): Promise<void> {
    await this.#compose('down', '--volumes', '--timeout', '20');
    await this.removeImages();
  }

  async #compose(...args: string[]): Promise<string> {
    return await this.run('docker-compose', '-f', this.#file, '-p', this.name, ...args);
  }

  async #answers(): Promise<void> {
    await eventually(
      'the gateway reaches the broker',
      () =>
        fetch(`${this.url}/healthz`).then(
          ({ status }) => status === 200,
          () => false,
        ),
      60_000,
    );
  }
}

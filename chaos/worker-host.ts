import { run, works } from './shell.js';

/**
 * The network of a worker's host: a namespace of its own, joined to this machine by a veth pair that can be cut.
 * Addresses are of 10.213.0.0/16, four for each host.
 */
export class WorkerHost {
  /** Where the worker reaches the broker's machine. */
  readonly brokerAddress: string;
  readonly #namespace: string;
  readonly #link: string;
  readonly #address: string;

  /** @param id tells this run of the harness from others, in at most 6 characters */
  constructor(id: string, index: number) {
    this.#namespace = `chaos-${id}-${index}`;
    this.#link = `ch${id}${index}`;
    const [third, fourth] = [Number.parseInt(id, 36) % 250, 4 * index];
    this.brokerAddress = `10.213.${third}.${fourth + 1}`;
    this.#address = `10.213.${third}.${fourth + 2}`;
  }

  async open(): Promise<void> {
    const [namespace, link] = [this.#namespace, this.#link];
    await run('ip', 'netns', 'add', namespace);
    await run('ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    await run('ip', 'addr', 'add', `${this.brokerAddress}/30`, 'dev', link);
    await run('ip', '-n', namespace, 'addr', 'add', `${this.#address}/30`, 'dev', 'eth0');
    await run('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
    await run('ip', '-n', namespace, 'link', 'set', 'eth0', 'up');
    await this.heal();
  }

  /** What runs a program on this host: the network alone is another, so that control groups stay where they are. */
  get prefix(): string[] {
    return ['nsenter', `--net=/run/netns/${this.#namespace}`];
  }

  /** Nothing gets through any more; connections stay open on both sides. */
  async cut(): Promise<void> {
    await run('ip', 'link', 'set', this.#link, 'down');
  }

  async heal(): Promise<void> {
    await run('ip', 'link', 'set', this.#link, 'up');
  }

  async close(): Promise<void> {
    await works('ip', 'link', 'del', this.#link);
    await works('ip', 'netns', 'del', this.#namespace);
  }
}

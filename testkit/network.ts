import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';

/** Where a program runs, and where it is reached: this machine, or a host of a network. */
export interface Place {
  readonly address: string;
  /** What its command line begins with. */
  readonly prefix: readonly string[];
}

/** Program and arguments that run a command at a place. */
export function at({ prefix }: Place, command: readonly string[]): [program: string, args: string[]] {
  const [program, ...args] = [...prefix, ...command];
  if (program === undefined) throw new TypeError('no command');
  return [program, args];
}

export const THIS_MACHINE: Place = { address: '127.0.0.1', prefix: [] };

/** Hosts of a network, before the address of this machine. */
const MOST_HOSTS = 253;

/**
 * A network of hosts, and this machine. Its switch is a bridge in a namespace of its own, for the firewall of a container
 * engine on this machine drops what bridges here forward.
 */
export class Network {
  /** Of this machine, in this network. */
  readonly address: string;
  readonly #subnet: number;
  readonly #name: string;
  readonly #link: string;
  readonly #hosts: Host[] = [];

  private constructor(subnet: number) {
    this.#subnet = subnet;
    this.#name = `panal-net${subnet}`;
    this.#link = `panalnet${subnet}`;
    this.address = `10.216.${subnet}.${MOST_HOSTS + 1}`;
  }

  /** Takes a subnet that no other network of this machine has. Needs root. */
  static open(): Network {
    for (let tries = 0; ; tries++) {
      const network = new Network(randomInt(256));
      try {
        ip('netns', 'add', network.#name);
      } catch (error) {
        if (tries === 10) throw error;
        continue;
      }
      try {
        network.#join();
        return network;
      } catch (error) {
        network.close();
        throw error;
      }
    }
  }

  /** Adds a host. */
  host(): Host {
    const index = this.#hosts.length + 1;
    const host = new Host(this.#name, index, `10.216.${this.#subnet}.${index}`);
    this.#hosts.push(host);
    host.open();
    return host;
  }

  /** Removes it with its hosts, whose programs must have ended. */
  close(): void {
    for (const host of this.#hosts) host.close();
    attempt('link', 'delete', this.#link);
    attempt('netns', 'delete', this.#name);
  }

  #join(): void {
    const [name, link] = [this.#name, this.#link];
    ip('-n', name, 'link', 'add', 'bridge', 'type', 'bridge');
    ip('-n', name, 'link', 'set', 'bridge', 'up');
    ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'machine', 'netns', name);
    ip('address', 'add', `${this.address}/24`, 'dev', link);
    ip('link', 'set', link, 'up');
    ip('-n', name, 'link', 'set', 'machine', 'master', 'bridge', 'up');
  }
}

/** A host: a network namespace with a cable to the switch. Files and processes are those of this machine. */
export class Host implements Place {
  readonly address: string;
  readonly #switch: string;
  readonly #namespace: string;
  readonly #port: string;

  constructor(network: string, index: number, address: string) {
    this.#switch = network;
    this.#namespace = `${network}-${index}`;
    this.#port = `port${index}`;
    this.address = address;
  }

  /** The network alone is another: `ip netns exec` would hide the control groups, which engines need. */
  get prefix(): readonly string[] {
    return ['nsenter', `--net=/run/netns/${this.#namespace}`];
  }

  /** Bytes that came over its cable so far. */
  get received(): number {
    const table = execFileSync(...at(this, ['cat', '/proc/net/dev']), { encoding: 'utf8' });
    return Number(/eth0:\s*(\d+)/.exec(table)?.[1]);
  }

  open(): void {
    const name = this.#namespace;
    ip('netns', 'add', name);
    ip('-n', name, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', this.#port, 'netns', this.#switch);
    ip('-n', name, 'address', 'add', `${this.address}/24`, 'dev', 'eth0');
    ip('-n', name, 'link', 'set', 'lo', 'up');
    ip('-n', name, 'link', 'set', 'eth0', 'up');
    ip('-n', this.#switch, 'link', 'set', this.#port, 'master', 'bridge');
    this.heal();
  }

  /** Nothing gets through any more; connections stay open on both sides. */
  cut(): void {
    ip('-n', this.#switch, 'link', 'set', this.#port, 'down');
  }

  heal(): void {
    ip('-n', this.#switch, 'link', 'set', this.#port, 'up');
  }

  close(): void {
    attempt('netns', 'delete', this.#namespace);
  }
}

/** @throws Error with what it said */
function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' });
}

/** For what may be gone already. */
function attempt(...args: string[]): void {
  try {
    ip(...args);
  } catch {
    // It was not there.
  }
}

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { MountSettings } from 'dockerode';
import { EGRESS_SOCKET, openEgress } from '../egress/open.js';
import type { EgressRules } from '../egress/policy.js';
import { RELAY_PORT } from '../egress/relay.js';
import type { ToHost } from '../engine/host-paths.js';

/** Below /dev, which is a file system in memory: the mount points do not become part of the image. */
const AGENT = '/dev/panal/agent';
const EGRESS = '/dev/panal/egress';

/** How what runs in one container without a network reaches what it may. */
export interface WayOut {
  /** What its container is created with. */
  readonly mounts: MountSettings[];
  /** Goes before its command. */
  readonly prefix: readonly string[];
  close(): Promise<void>;
}

export interface OutletOptions {
  rules: EgressRules & { proxy: string | undefined };
  /** Folder for the sockets. */
  folder: string;
  /** Path of the agent, which is the relay in the container. */
  agent: string;
  toHost: ToHost;
}

/** Opens ways out of containers, each through a proxy of its own. */
export class Outlet {
  readonly #options: OutletOptions;

  constructor(options: OutletOptions) {
    this.#options = options;
  }

  /** @param own the environment of what runs in the container */
  async open(own: Readonly<Record<string, string>>): Promise<WayOut> {
    const { rules, folder, agent } = this.#options;
    await mkdir(folder, { recursive: true });
    const parent = await mkdtemp(join(folder, 'egress-'));
    const remove = (): Promise<void> => rm(parent, { recursive: true, force: true });
    try {
      const egress = await openEgress(rules, own, parent);
      return {
        mounts: [this.#mount(egress.folder, EGRESS), this.#mount(agent, AGENT)],
        prefix: [AGENT, 'relay', `${EGRESS}/${EGRESS_SOCKET}`, String(RELAY_PORT)],
        close: async () => {
          egress.close();
          await remove();
        },
      };
    } catch (error) {
      await remove();
      throw error;
    }
  }

  #mount(path: string, target: string): MountSettings {
    return { Type: 'bind', Source: this.#options.toHost(path), Target: target, ReadOnly: true };
  }
}

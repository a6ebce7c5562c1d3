import { mkdtemp, rm } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from './cluster.js';
import { OwnEngine } from './engine.js';
import { registerFunctions } from './functions.js';
import { lookAtMachine } from './machine.js';
import { Witness } from './witness.js';

export interface SiteOptions {
  driver: 'process' | 'docker';
  /** Whether containers run in an engine that the site starts, and may kill. */
  ownEngine: boolean;
}

/** A cluster with its functions, and a witness of their bodies. */
export class Site {
  readonly folder: string;
  readonly cluster: Cluster;
  readonly witness: Witness;
  readonly #engine: OwnEngine | undefined;

  private constructor(folder: string, cluster: Cluster, engine: OwnEngine | undefined) {
    this.folder = folder;
    this.cluster = cluster;
    this.witness = new Witness(join(folder, 'witness'));
    this.#engine = engine;
  }

  static async open({ driver, ownEngine }: SiteOptions): Promise<Site> {
    const folder = await mkdtemp(join(tmpdir(), 'panal-chaos-'));
    const machine = await lookAtMachine();
    const id = Math.floor(Math.random() * 36 ** 4)
      .toString(36)
      .padStart(4, '0');
    const engine = ownEngine ? new OwnEngine(join(folder, 'docker'), id) : undefined;
    const site = new Site(folder, new Cluster({ folder, driver, machine, engine }), engine);
    try {
      await site.#open(driver);
      return site;
    } catch (error) {
      await site.close();
      throw error;
    }
  }

  /** @param keepLogs leaves the folder, for whoever wants to know what happened */
  async close({ keepLogs = false } = {}): Promise<void> {
    await this.cluster.close();
    await this.#engine?.close();
    await this.witness.close();
    if (!keepLogs) await rm(this.folder, { recursive: true, force: true });
  }

  async #open(driver: SiteOptions['driver']): Promise<void> {
    await this.#engine?.open();
    await this.witness.open();
    await this.cluster.open();
    await registerFunctions(this.cluster.url, driver === 'docker' ? await this.#listen() : this.witness.file);
  }

  /** A witness that containers reach. */
  async #listen(): Promise<string> {
    const address = this.#engine?.gateway ?? ownAddress();
    if (address === undefined) throw new Error('this machine has no address but its loopback');
    return await this.witness.listen(address);
  }
}

/** One by which containers reach this machine: any that is not the loopback's, which they have their own of. */
function ownAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses);
  return all.find(({ internal, family }) => !internal && family === 'IPv4')?.address;
}

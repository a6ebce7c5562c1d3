import type { Cluster } from '../cluster.js';
import type { Random } from '../random.js';

/** Something that goes wrong, and is put right again. */
export interface Fault {
  readonly kind: string;
  /** Whether it ends function bodies, whose calls then fail by right: whoever kills a process is not the platform. */
  readonly endsBodies?: boolean;
  /** Whether answers of its last moment may be lost with it, to clients that waited for them. */
  readonly losesPower?: boolean;
  /** Whether this cluster can have it. */
  possible(cluster: Cluster): boolean;
  /**
   * Makes it, lets it last, and ends it. What it did not break itself it does not repair.
   * @returns what exactly was done
   */
  make(cluster: Cluster, random: Random): Promise<string>;
}

import { Cluster, type Settings } from '../../testkit/cluster.js';
import type { Place } from '../../testkit/network.js';

/**
 * A broker without workers, from source. Those that are added run containers; `DOCKER_HOST` among their settings names
 * their engine.
 * @param settings of the broker
 * @param place of the broker
 */
export async function engineCluster(settings: Settings = {}, place?: Place): Promise<Cluster> {
  return await Cluster.start({
    workers: 0,
    settings: { FAAS_SANDBOX: 'docker', FAAS_PRELOAD: 'none' },
    broker: settings,
    ...(place && { place }),
  });
}

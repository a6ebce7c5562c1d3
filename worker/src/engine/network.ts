import type Docker from 'dockerode';
import { statusOf } from './errors.js';

/** The network of functions that ask for one, on every engine. */
export const FUNCTION_NETWORK = 'panal-functions';
/** Its interface on the engine's machine, by which firewall rules know it: hub-deployment/firewall. */
const INTERFACE = 'panal0';

/**
 * What a container's `NetworkMode` has to be for `network: none` or `bridge`. The bridge is Panal's own, made where it is
 * missing: its containers reach what the machine reaches, but not each other, and nothing of anyone else's is on it.
 * Asked for every container, since an unused network may be pruned at any moment.
 */
export async function networkMode(docker: Docker, network: 'none' | 'bridge'): Promise<string> {
  if (network === 'none') return 'none';
  return (await find(docker)) ?? (await make(docker));
}

/** Its id. Should workers that start at the same moment have made two, all agree on the older one. */
async function find(docker: Docker): Promise<string | undefined> {
  const like = await docker.listNetworks({ filters: { name: [FUNCTION_NETWORK] } });
  const named = like.filter(({ Name }) => Name === FUNCTION_NETWORK);
  const [oldest] = named.sort((a, b) => (a.Created < b.Created ? -1 : 1));
  return oldest?.Id;
}

async function make(docker: Docker): Promise<string> {
  const options = { 'com.docker.network.bridge.enable_icc': 'false' };
  const named = { ...options, 'com.docker.network.bridge.name': INTERFACE };
  // Another engine of the same machine may have an interface of that name.
  await create(docker, named).catch(() => create(docker, options));
  const made = await find(docker);
  if (made === undefined)
    throw new Error(`the engine no longer has the network ${FUNCTION_NETWORK}, just made`);
  return made;
}

async function create(docker: Docker, options: Record<string, string>): Promise<void> {
  try {
    await docker.createNetwork({ Name: FUNCTION_NETWORK, CheckDuplicate: true, Options: options });
  } catch (error) {
    // Another worker was first.
    if (statusOf(error) !== 409) throw error;
  }
}

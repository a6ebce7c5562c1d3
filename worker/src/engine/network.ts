import { randomBytes } from 'node:crypto';
import type Docker from 'dockerode';
import { statusOf } from './errors.js';

/** The network of functions that ask for one, on every engine. */
const FUNCTION_NETWORK = 'panal-functions';
/** What its interface's name begins with on the engine's machine, by which firewall rules know it: hub-deployment/firewall. */
const INTERFACE = 'panal-';

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
  // An engine takes an interface of this name for its own where there is one, also another engine's of the same machine.
  const name = INTERFACE + randomBytes(4).toString('hex');
  const Options = {
    'com.docker.network.bridge.enable_icc': 'false',
    'com.docker.network.bridge.name': name,
  };
  try {
    await docker.createNetwork({ Name: FUNCTION_NETWORK, CheckDuplicate: true, Options });
  } catch (error) {
    // Another worker was first.
    if (statusOf(error) !== 409) throw error;
  }
  const made = await find(docker);
  if (made === undefined)
    throw new Error(`the engine no longer has the network ${FUNCTION_NETWORK}, just made`);
  return made;
}

import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type Docker from 'dockerode';
import { statusOf } from './errors.js';
import { engineInfo } from './info.js';
import { LABEL } from './labels.js';

/** The network of functions that ask for one, on every engine. */
const FUNCTION_NETWORK = 'panal-functions';
/** What its interface's name begins with on the engine's machine, by which firewall rules know it: hub-deployment/firewall. */
const INTERFACE = 'panal-';
/** Between the moment that an engine refuses a second network and the one from which it lists the first. */
const LISTED_WITHIN_MS = 2000;

/**
 * What a container's `NetworkMode` has to be for `network: none` or `bridge`. The bridge is Panal's own, made where it is
 * missing: its containers reach what the machine reaches, but not each other, and nothing of anyone else's is on it.
 * Asked for every container, since an unused network may be pruned at any moment.
 */
export async function networkMode(docker: Docker, network: 'none' | 'bridge'): Promise<string> {
  if (network === 'none') return 'none';
  return (await find(docker)) ?? (await make(docker));
}

/** Removes the network of functions, unless a container is on it. The next function that needs it makes it anew. */
export async function removeIdleNetwork(docker: Docker): Promise<void> {
  const id = await find(docker);
  if (id === undefined) return;
  try {
    await docker.getNetwork(id).remove();
  } catch (error) {
    // 403: a container is on it. 404: another worker removed it.
    if (![403, 404].includes(statusOf(error) ?? 0)) throw error;
  }
}

async function find(docker: Docker): Promise<string | undefined> {
  const like = await docker.listNetworks({ filters: { name: [FUNCTION_NETWORK] } });
  return like.find(({ Name }) => Name === FUNCTION_NETWORK)?.Id;
}

/**
 * An engine takes an interface that is there for its own, also where it is another engine's of the same machine: so each
 * engine's has a name of its own. And it makes no second network on an interface, whoever asks at the same moment.
 */
async function make(docker: Docker): Promise<string> {
  // Not its id: engines of one machine may share that.
  const { folder } = await engineInfo(docker);
  const name = INTERFACE + createHash('sha256').update(folder).digest('hex').slice(0, 8);
  const Options = {
    'com.docker.network.bridge.enable_icc': 'false',
    'com.docker.network.bridge.name': name,
  };
  try {
    const made = await docker.createNetwork({
      Name: FUNCTION_NETWORK,
      CheckDuplicate: true,
      Options,
      Labels: { [LABEL.kind]: 'network' },
    });
    return made.id;
  } catch (error) {
    return await madeByAnother(docker, error);
  }
}

/** @throws `error`, where there is none */
async function madeByAnother(docker: Docker, error: unknown): Promise<string> {
  const until = performance.now() + LISTED_WITHIN_MS;
  do {
    const made = await find(docker);
    if (made !== undefined) return made;
    await pause(20);
  } while (performance.now() < until);
  throw error;
}

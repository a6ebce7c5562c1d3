import { cp, open, readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { freePorts } from '../../testkit/ports.js';
import type { Cluster } from '../cluster.js';
import type { Random } from '../random.js';
import { eventually } from '../../testkit/wait.js';
import type { Fault } from './fault.js';

/** What a broker must say of a store that is not whole. */
const ADMISSION = 'damaged';

/**
 * A file of the store that is corrupt or cut short. No store can give back what is gone: what counts is that the broker
 * refuses, or says that something is missing. It is tried on a copy, for what clients were told still holds of the
 * original.
 */
export const DAMAGE_FAULTS: readonly Fault[] = [
  {
    kind: 'store damaged',
    possible: () => true,
    async make(cluster, random) {
      const copy = join(cluster.options.folder, 'damaged');
      await cluster.broker.kill();
      await cp(cluster.brokerData, copy, { recursive: true });
      cluster.broker.start();
      try {
        const what = await damage(join(copy, 'store'), random);
        return `${what}: ${await tryBroker(cluster, copy)}`;
      } finally {
        await rm(copy, { recursive: true, force: true });
      }
    },
  },
];

async function damage(store: string, random: Random): Promise<string> {
  const files = (await readdir(store)).filter((name) => /\.(log|ldb)$|^MANIFEST|^CURRENT$/.test(name));
  const sizes = await Promise.all(
    files.map(async (name) => ({ name, size: (await stat(join(store, name))).size })),
  );
  const { name, size } = random.pick(sizes.filter((file) => file.size > 0));
  const path = join(store, name);
  if (random.next() < 0.5) {
    const left = random.int(0, size - 1);
    await truncate(path, left);
    return `${name} cut to ${left} of ${size} bytes`;
  }
  const at = random.int(0, size - 1);
  const file = await open(path, 'r+');
  const bytes = Buffer.alloc(Math.min(64, size - at), 0xa5);
  await file.write(bytes, 0, bytes.length, at);
  await file.close();
  return `${name} overwritten at ${at} of ${size} bytes`;
}

/** Starts a broker with this folder, where no worker and no client comes. */
async function tryBroker(cluster: Cluster, data: string): Promise<string> {
  const [port, zmqPort] = [await freePorts(), await freePorts()];
  const broker = cluster.brokerAt({ data, port, zmqPort });
  broker.start();
  try {
    const serves = await eventually('a broker with a damaged store serves or ends', async () => {
      if (!broker.alive) return 'ended';
      const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined);
      return answer?.ok === true ? 'serves' : undefined;
    });
    const admits = broker.said.includes(ADMISSION);
    if (serves === 'ended' && !admits) throw new Error(`a broker ended without saying why: ${broker.said}`);
    if (serves === 'ended') return 'refused';
    return admits ? 'serves what is left, and says so' : 'nothing amiss was found';
  } finally {
    await broker.kill();
  }
}

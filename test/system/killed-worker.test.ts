import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import Docker from 'dockerode';
import { ofWorker } from '../../worker/src/engine/labels.js';
import { tarGz } from '../../testkit/archives.js';
import { withEngine } from '../support/groups.js';
import { eventually } from '../../testkit/wait.js';
import type { Cluster } from '../../testkit/cluster.js';
import type { ManagedProcess } from '../../testkit/managed-process.js';
import { engineCluster } from './engine-cluster.js';

const LIFECYCLES = ['hot', 'warm', 'fresh'] as const;
/** A call that ends at once, or for nobody's sake. */
const COMMAND = 'import json, sys, time\ntime.sleep(json.load(sys.stdin))\n';
const HANDLER = 'import time\ndef handler(seconds, context):\n    time.sleep(seconds)\n';
const FOREVER = 100_000;

function itLeavesNothing(title: string, settings: Record<string, string>): void {
  describe(title, function () {
    this.slow(30_000);
    /** In the environment of every process of a function. */
    const mark = randomUUID();
    let panal: Cluster;
    let data: string;
    let worker: ManagedProcess;

    const start = (): Promise<ManagedProcess> =>
      panal.addWorker({ FAAS_PRELOAD: 'runtime', FAAS_SLOTS: '3', FAAS_DATA_DIR: data, ...settings });

    before(async () => {
      panal = await engineCluster({ FAAS_ATTEMPTS: '1', FAAS_LEASE_MS: '1000' });
      data = join(panal.folder, 'killed');
      worker = await start();
      for (const lifecycle of LIFECYCLES) {
        const [name, content] = lifecycle === 'hot' ? ['handler.py', HANDLER] : ['test.py', COMMAND];
        const fields = { lifecycle, timeoutMs: '3600000', env: JSON.stringify({ MARK: mark }) };
        const path = `/registerFunction/pythonruntime/${lifecycle}`;
        expect((await panal.upload(path, tarGz([{ name, content }]), 'code.tar.gz', fields)).status).to.equal(
          201,
        );
      }
    });
    after(() => panal.stop());

    /** Functions' processes that are there, whoever holds them. */
    async function processes(): Promise<number> {
      const all = await readdir('/proc');
      const environments = await Promise.all(
        all.map((pid) => readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')),
      );
      return environments.filter((each) => each.includes(mark)).length;
    }

    const id = async (): Promise<string> => (await readFile(join(data, 'worker-id'), 'utf8')).trim();

    /** Names of its containers, if it has an engine. */
    async function containers(all = true): Promise<string[]> {
      if (settings.FAAS_SANDBOX === 'process') return [];
      const found = await new Docker().listContainers({ all, filters: ofWorker(await id()) });
      return found.flatMap(({ Names }) => Names);
    }

    /** Files, folders and sockets of its sandboxes. */
    async function files(): Promise<string[]> {
      const found = await readdir(join(data, 'sandboxes'), { recursive: true });
      const own = await id();
      return found.filter((name) => name !== own);
    }

    it('leaves nothing behind once it is back', async () => {
      // Some stand idle, and one of each runs.
      await Promise.all(LIFECYCLES.map((name) => panal.post(`/run/${name}`, 0)));
      const calls = await Promise.all(
        LIFECYCLES.map((funcName) => panal.post('/invokeFunction', { funcName, params: FOREVER })),
      );
      await eventually('all run', async () => (await processes()) >= LIFECYCLES.length);
      const left = [...(await containers()), ...(await files())];
      expect(left).to.not.deep.equal([]);
      await worker.kill();
      await eventually('what lost its connection ends, but for a handler that is busy', async () =>
        (await containers(false)).every((name) => name.includes('-hot-')),
      );
      // Nobody is to run them again.
      const cancelled = calls.map(({ json }) => panal.request('DELETE', `/call/${String(json.callNum)}`));
      [worker] = await Promise.all([start(), ...cancelled]);
      await eventually('what ran is gone', async () => (await processes()) === 0);
      const there = [...(await containers()), ...(await files())];
      expect(left.filter((each) => there.includes(each))).to.deep.equal([]);
    });
  });
}

describe('A worker that is killed', () => {
  itLeavesNothing('with the process sandbox', { FAAS_SANDBOX: 'process' });
  itLeavesNothing('with processes that have no agent', { FAAS_SANDBOX: 'process', FAAS_AGENT: 'off' });
});

withEngine('A worker that is killed, on a container engine', () => {
  itLeavesNothing('with the agent', { FAAS_SANDBOX: 'docker' });
  itLeavesNothing('without it', { FAAS_SANDBOX: 'docker', FAAS_AGENT: 'off' });
});

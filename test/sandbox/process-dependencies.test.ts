import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import type { Installation } from '../../worker/src/egress/installation.js';
import { Cgroups } from '../../worker/src/sandbox/process/cgroups.js';
import { FunctionError } from '../../worker/src/errors.js';
import { withBubblewrap } from '../support/groups.js';
import { openRig, type TestFunction } from './process-rig.js';
import { text } from './requests.js';

const probe = await Cgroups.find('/probe-dependencies');
await probe?.close();
const withCgroups = probe === undefined ? describe.skip : describe;
const none = (): undefined => undefined;

withBubblewrap('dependencies under bubblewrap', () => {
  /** What `dependencies` ended with: their output, and how they failed. */
  function running(
    limits: Partial<Installation>,
  ): (dependencies: string, made?: TestFunction) => Promise<string> {
    const rig = openRig(none, 'bubblewrap', limits);
    return async (dependencies, made = {}) => {
      const runtime = { ...made.runtime, dependencies: `(${dependencies}) && exit 9` };
      const error: unknown = await rig()
        .prepare({ ...made, runtime })
        .catch((reason: unknown) => reason);
      if (!(error instanceof FunctionError)) throw new Error(String(error));
      expect(error.error.code).to.equal('DEPENDENCIES_FAILED');
      return `${text(error.logs)}${error.error.message}`;
    };
  }

  withCgroups('are limited', () => {
    const run = running({ memoryMb: 96, pids: 20, diskMb: 8 });

    it('in memory', async () => {
      expect(await run("python3 -c 'x = bytearray(300 << 20)'")).to.contain(
        'took more than 96 MiB of memory',
      );
    });

    it('in processes', async () => {
      const many = 'for i in $(seq 60); do sleep 1000 & done; echo all';
      expect(await run(many))
        .to.contain('Cannot fork')
        .and.not.contain('all');
    });

    it('in what they keep on disk, wherever they put it', async () => {
      for (const folder of ['.', '$HOME', '$TMPDIR', '/tmp']) {
        const fill = `for i in 1 2 3 4; do head -c 4000000 /dev/zero > ${folder}/$i; done; sleep 1000`;
        expect(await run(fill)).to.contain('kept more than 8 MiB on disk');
      }
    });
  });

  describe('in time', () => {
    const run = running({ timeoutMs: 1500 });

    it('are stopped at the end of it', async () => {
      expect(await run('echo begun; sleep 1000'))
        .to.contain('begun')
        .and.contain('did not end within 1500 ms');
    });
  });

  describe('of the network', () => {
    let registry: Server;
    let port: number;
    before(async () => {
      registry = createServer((_, answer) => answer.end('package')).listen(0, '127.0.0.1');
      await once(registry, 'listening');
      ({ port } = registry.address() as AddressInfo);
    });
    after(() => registry.close());

    const fetched = (url: string): string =>
      `python3 -c 'import urllib.request as r; print(r.urlopen("${url}").read())' 2>&1`;
    const direct = (host: string, at: number): string =>
      `node -e 'require("net").connect(${at}, "${host}").on("error", (e) => console.log(e.code)).on("connect", () => process.exit(console.log("connected")))'`;

    describe('without leave of the operator', () => {
      const run = running({});

      it("reach neither the machine's own ports nor the metadata address", async () => {
        expect(await run(fetched(`http://127.0.0.1:${port}/`))).not.to.contain('package');
        const asked = `unset no_proxy; ${fetched(`http://127.0.0.1:${port}/`)}`;
        expect(await run(asked))
          .to.contain('403')
          .and.not.contain('package');
        expect(await run(direct('127.0.0.1', port))).to.contain('ECONNREFUSED');
        expect(await run(fetched('http://169.254.169.254/'))).to.contain('is a link-local address');
        expect(await run(direct('169.254.169.254', 80))).to.contain('ENETUNREACH');
      });
    });

    describe('where the operator adds a network', () => {
      const run = running({ networks: [{ address: '127.0.0.1', prefix: 32, family: 'ipv4' }] });

      it('reach it, by the proxy alone', async () => {
        const asked = `unset no_proxy; ${fetched(`http://127.0.0.1:${port}/`)}`;
        expect(await run(asked)).to.contain('package');
        expect(await run(direct('127.0.0.1', port))).to.contain('ECONNREFUSED');
      });

      it('go through a proxy that the function names', async () => {
        const env = { HTTP_PROXY: `http://127.0.0.1:${port}`, PIP_PROXY: `http://127.0.0.1:${port}` };
        const asked = fetched('http://packages.invalid/');
        expect(await run(asked, { settings: { env } })).to.contain('package');
      });
    });

    describe('where the operator gives them none', () => {
      const run = running({
        network: 'none',
        networks: [{ address: '127.0.0.1', prefix: 32, family: 'ipv4' }],
      });

      it('reach nothing', async () => {
        expect(await run('env')).not.to.match(/proxy/i);
        expect(await run(direct('127.0.0.1', port))).to.contain('ECONNREFUSED');
      });
    });
  });

  describe('of the environment', () => {
    const run = running({});

    it("get the function's", async () => {
      const env = { PIP_INDEX_URL: 'https://packages.example/simple' };
      const said = await run('echo $PIP_INDEX_URL', { settings: { env } });
      expect(said).to.contain('https://packages.example/simple');
    });
  });
});

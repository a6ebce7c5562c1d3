import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { builtAgent } from '../agent/rig.js';
import { withBubblewrap, withCompiler } from '../support/groups.js';
import { openRig } from './process-rig.js';
import { request, summary, text } from './requests.js';

withBubblewrap('isolation by bubblewrap', () => {
  describe('without an agent', () => isolation(() => undefined));
  withCompiler('with an agent', () => isolation(builtAgent));
});

function isolation(agent: () => string | undefined): void {
  const rig = openRig(agent);

  it('hides the folders of other functions, and of the worker', async () => {
    await rig().prepare({ owner: 'someone', files: { 'secret.txt': 'secret' } });
    const { dataDir } = rig();
    const ended = await rig().once(
      `ls ${dataDir} /root /home /var /etc/shadow; ls -A / | tr '\\n' ' '; true`,
    );
    expect(text(ended.logs))
      .to.contain(`cannot access '${dataDir}'`)
      .and.contain("cannot access '/etc/shadow'");
    expect(text(ended.result)).not.to.contain('secret');
  });

  it('lets a call write nowhere but in its own folders', async () => {
    const places = '/file /usr/file /etc/file /run/file /home/file /run/panal/socket/../file';
    const ended = await rig().once(
      `for f in ${places}; do echo > $f && echo "wrote $f"; done 2>/dev/null; true`,
    );
    expect(text(ended.result)).to.equal('');
    expect(existsSync('/usr/file')).to.equal(false);
  });

  it('shows a call no process but its own', async () => {
    const { result } = await rig().once('ls /proc | grep -c "^[0-9]"; true');
    expect(Number(text(result))).to.be.at.most(5);
  });

  it('gives a call no capabilities and no new privileges', async () => {
    const { result } = await rig().once('grep -E "^(CapEff|NoNewPrivs)" /proc/self/status #');
    expect(text(result)).to.equal('CapEff:\t0000000000000000\nNoNewPrivs:\t1\n');
  });

  it('keeps an environment of the function from taking effect outside', async () => {
    const ended = await rig().once(
      'echo "$LD_PRELOAD"',
      {},
      { settings: { env: { LD_PRELOAD: '/ws/evil.so' } } },
    );
    expect(summary(ended)).to.include({ status: 'DONE', result: '/ws/evil.so\n' });
  });

  it('does not leave its folder by the path of a runtime', async () => {
    const ended = await rig().once('pwd', {}, { runtime: { path: '/../../tmp/../panal-escape' } });
    expect(text(ended.result)).to.equal('/panal-escape\n');
    expect(existsSync('/panal-escape')).to.equal(false);
  });

  it('shares the home that dependencies filled, read-only', async () => {
    const runtime = {
      dependencies:
        'mkdir -p ~/.local/bin && echo "echo tool" > ~/.local/bin/tool && chmod +x ~/.local/bin/*',
    };
    const ended = await rig().once('tool; echo > ~/own && echo > ~/.local/own', {}, { runtime });
    expect(summary(ended)).to.include({ status: 'FAILED', result: 'tool\n' });
    expect(text(ended.logs)).to.contain('Read-only');
  });

  describe('of the network', () => {
    const connect = (port: number): string =>
      `node -e 'require("net").connect(${port}, "127.0.0.1").on("error", (e) => console.log(e.code)).on("connect", () => process.exit(console.log("connected")))'`;

    async function tried(network: 'none' | 'bridge'): Promise<string> {
      const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
      try {
        await new Promise((resolve) => server.once('listening', resolve));
        const address = server.address();
        if (address === null || typeof address === 'string') throw new Error('no port');
        const settings = { network, memoryMb: 512 };
        return text((await rig().once(connect(address.port), {}, { settings })).result);
      } finally {
        server.close();
      }
    }

    it('reaches nothing under `none`', async () => {
      expect(await tried('none')).to.equal('ECONNREFUSED\n');
    });

    it("reaches the machine's under `bridge`", async () => {
      expect(await tried('bridge')).to.equal('connected\n');
    });
  });

  it('removes what an earlier run left, and keeps what lives', async () => {
    const left = join(rig().dataDir, 'sandboxes', 'left');
    await mkdir(left);
    await writeFile(join(left, 'file'), '');
    const sandbox = await rig().start('warm', { runtime: { run: 'echo alive' } });
    await rig().driver.reclaim();
    expect(existsSync(left)).to.equal(false);
    expect(text((await sandbox.run(request())).result)).to.equal('alive\n');
  });
}

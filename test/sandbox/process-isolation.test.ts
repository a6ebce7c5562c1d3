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

  for (const path of ['/proc/self/cwd', '/sys', '/dev/shm', '/run/panal/home/x', '/ws/../run', '/']) {
    it(`does not put the code of a runtime at ${path}`, async () => {
      const error: unknown = await rig()
        .prepare({ runtime: { path } })
        .catch((reason: unknown) => reason);
      expect(error).to.have.nested.property('error.code', 'START_FAILED');
    });
  }

  it('shares the home that dependencies filled, read-only', async () => {
    const runtime = {
      dependencies:
        'mkdir -p ~/.local/bin && echo "echo tool" > ~/.local/bin/tool && chmod +x ~/.local/bin/*',
    };
    const ended = await rig().once('tool; echo > ~/own && echo > ~/.local/own', {}, { runtime });
    expect(summary(ended)).to.include({ status: 'FAILED', result: 'tool\n' });
    expect(text(ended.logs)).to.contain('Read-only');
  });

  describe('of what `dependencies` left', () => {
    /** Each leaves links to the machine's root, and says where; `HOST` stands for the root. */
    const ways: [what: string, dependencies: string, root: string, path?: string][] = [
      ['a link in the home', 'ln -s / $HOME/host', '$HOME/host'],
      ['a link out of the home, by dots', 'ln -s ../../../../../../../.. $HOME/host', '$HOME/host'],
      ["a link to bubblewrap's old root", 'ln -s /oldroot $HOME/host', '$HOME/host'],
      [
        'a link below the home',
        'mkdir -p ~/.local/lib && ln -s / ~/.local/lib/host',
        '$HOME/.local/lib/host',
      ],
      ['a link in the code', 'ln -s / host', './host'],
      ['a link in place of a folder of tools', 'ln -s / $HOME/.local', '$HOME/.local'],
      ['a link on the way to the code', 'ln -s /oldroot $HOME/x', '$HOME/x', '/home/function/x/code'],
      ['a link where the code is', 'cd /; rmdir $HOME; rm -rf $HOME/*; ln -s / $HOME/x', '$HOME/x'],
    ];
    for (const [what, dependencies, root, path = '/ws'] of ways) {
      it(`follows no link outside: ${what}`, async () => {
        const canary = join(rig().dataDir, 'canary');
        await writeFile(canary, 'of the machine');
        const look = `cat ${root}${canary} ${root}/etc/shadow; ls ${root}; echo done`;
        const ended = await rig().once(
          look,
          {},
          { runtime: { path, dependencies: `${dependencies}; true` } },
        );
        expect(summary(ended)).to.include({ status: 'DONE' });
        expect(text(ended.result))
          .to.match(/done\n$/)
          .and.not.contain('of the machine')
          .and.not.contain('root:');
        expect(existsSync('/oldroot')).to.equal(false);
      });
    }

    it('finds what they left in the home where it was, links and all', async () => {
      const dependencies = 'echo "of the home" > ~/file; ln -s file ~/link; mkdir ~/d; ln -s ../file ~/d/up';
      const ended = await rig().once('cat ~/link ~/d/up; readlink ~/link', {}, { runtime: { dependencies } });
      expect(text(ended.result)).to.equal('of the home\nof the home\nfile\n');
    });

    it('copies pipes, and folders that nobody may enter', async () => {
      const dependencies = 'mkfifo pipe; mkdir closed; echo inside > closed/file; chmod 0 closed';
      const ended = await rig().once('[ -p pipe ] && cat closed/file', {}, { runtime: { dependencies } });
      expect(text(ended.result)).to.equal('inside\n');
    });

    it('refuses a home that no sandbox could start with', async () => {
      const dependencies = 'cd; for i in $(seq 1001); do echo > $i; done';
      const prepared: unknown = await rig()
        .prepare({ runtime: { dependencies } })
        .catch((error: unknown) => error);
      expect(prepared).to.have.nested.property('error.code', 'DEPENDENCIES_FAILED');
      expect(String(prepared)).to.contain('more than 1000 entries');
    });
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

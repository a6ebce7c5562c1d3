import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { builtAgent } from '../agent/rig.js';
import { temporaryFolder } from '../support/folder.js';
import { withBubblewrap, withCompiler } from '../support/groups.js';
import { eventually } from '../../testkit/wait.js';
import { openRig, ProcessRig } from './process-rig.js';
import { request, summary, text } from './requests.js';

withBubblewrap('isolation by bubblewrap', () => {
  describe('without an agent', () => isolation(() => undefined));
  withCompiler('with an agent', () => isolation(builtAgent));
});

/** Makes each system call, by its number on x86_64 or arm64, and says what came of it. */
const SYSTEM_CALLS = `
import ctypes, errno, platform
libc = ctypes.CDLL(None, use_errno=True)
column = 0 if platform.machine() == "x86_64" else 1
calls = [
    ("add_key", (248, 217), (0, 0, 0, 0, 0)),
    ("bpf", (321, 280), (0, 0, 0)),
    ("clone into a namespace", (56, 220), (0x10000000 | 17, 0, 0, 0, 0)),
    ("clone3", (435, 435), (0, 0)),
    ("io_uring_setup", (425, 425), (1, 0)),
    ("keyctl", (250, 219), (0, -3, 1)),
    ("mount", (165, 40), (0, 0, 0, 0, 0)),
    ("request_key", (249, 218), (0, 0, 0, 0)),
    ("personality", (135, 92), (0x0400000,)),
    ("personality of Linux", (135, 92), (0xffffffff,)),
    ("setns", (308, 268), (0, 0)),
    ("socket of the hypervisor", (41, 198), (40, 1, 0)),
    ("unknown", (900, 900), ()),
    ("unshare", (272, 97), (0x10000000,)),
    ("userfaultfd", (323, 282), (0,)),
    ("x32", (0x40000000 + 39, 0x40000000 + 39), ()),
]
for name, numbers, args in calls:
    result = libc.syscall(ctypes.c_long(numbers[column]), *[ctypes.c_long(arg) for arg in args])
    print(name, "allowed" if result >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
`;

/** Holds a secret in a file in memory, as descriptor 9. */
const IN_MEMORY = `
import os
fd = os.memfd_create("secret")
os.write(fd, b"secret")
os.dup2(fd, 9)
os.execvp("sleep", ["sleep", "60"])
`;

/** What names stand for, and whether the loopback interface serves. */
const NAMES = `
import socket
for family in (socket.AF_INET, socket.AF_INET6):
    print("localhost", socket.getaddrinfo("localhost", 80, family)[0][4][0])
print(socket.gethostname(), socket.gethostbyname(socket.gethostname()))
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    server = socket.socket(family)
    server.bind((address, 0))
    server.listen()
    client = socket.create_connection(("localhost", server.getsockname()[1]))
    print("reached", client.getpeername()[0])
`;

/** Whether the process `pid` is a `sleep` of the user `uid`; one that is gone is none. */
function isSleepOf(pid: string, uid: number): boolean {
  if (!/^\d+$/.test(pid)) return false;
  try {
    return statSync(`/proc/${pid}`).uid === uid && readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n';
  } catch {
    return false;
  }
}

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

  it('has no code in a folder that it shares with the machine, and says so', async () => {
    for (const path of ['/usr/src/app', '/lib/x', '/usr']) {
      const error: unknown = await rig()
        .once('cat', {}, { runtime: { path } })
        .catch((reason: unknown) => reason);
      expect(error, path).to.have.nested.property('error.code', 'START_FAILED');
      expect(error)
        .to.have.property('message')
        .that.matches(/path \/\S+ lies in \/\S+, which a sandbox/);
    }
    expect(text((await rig().once('pwd', {}, { runtime: { path: '/usrlocal' } })).result)).to.equal(
      '/usrlocal\n',
    );
  });

  it('has an environment of as many names as a function may have', async () => {
    const env = Object.fromEntries(Array.from({ length: 512 }, (_, index) => [`NAME_${index}`, 'x']));
    const { result } = await rig().once('env | grep -c ^NAME_', {}, { settings: { env } });
    expect(text(result)).to.equal('512\n');
  });

  it('shows a call no process but its own', async () => {
    const { result } = await rig().once('ls /proc | grep -c "^[0-9]"; true');
    expect(Number(text(result))).to.be.at.most(5);
  });

  it('gives a call no capabilities and no new privileges', async () => {
    const { result } = await rig().once('grep -E "^(CapEff|NoNewPrivs)" /proc/self/status #');
    expect(text(result)).to.equal('CapEff:\t0000000000000000\nNoNewPrivs:\t1\n');
  });

  describe('as root', function () {
    before(function () {
      if (process.getuid?.() !== 0) this.skip();
    });
    const folder = temporaryFolder();

    const uidOf = async (owner: string): Promise<number> =>
      Number(text((await rig().once('id -u; true', {}, { owner })).result));

    it('runs the functions of each owner as a user of their own, also after a restart', async () => {
      const seen: string[][] = [];
      for (const owners of [
        ['one', 'other', 'one'],
        ['third', 'other', 'one'],
      ]) {
        const run = new ProcessRig(folder(), agent());
        await run.open();
        try {
          const ids = owners.map(async (owner) =>
            text((await run.once('id -u; true', {}, { owner })).result),
          );
          seen.push(await Promise.all(ids));
        } finally {
          await run.driver.close();
        }
      }
      const [[one = '', other = '', same] = [], [third = '', ...known] = []] = seen;
      expect([same, ...known]).to.deep.equal([one, other, one]);
      expect(new Set(['0\n', one, other, third]).size).to.equal(4);
    });

    it('never runs the functions of two owners on two workers as one user', async () => {
      const other = new ProcessRig(folder(), agent());
      await other.open();
      try {
        const ids = ['one', 'other', 'third'].map(async (owner) =>
          text((await other.once('id -u; true', {}, { owner })).result),
        );
        const here = await Promise.all(['one', 'other', 'third'].map(uidOf));
        expect(new Set([...here, ...(await Promise.all(ids)).map(Number)]).size).to.equal(6);
      } finally {
        await other.driver.close();
      }
    });

    it('gives the process no group, no capability, and a name', async () => {
      const look = 'whoami; id -G; grep -E "^(Cap|Uid)" /proc/self/status; true';
      const uid = await uidOf('one');
      const none = ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'].map((set) => `Cap${set}:\t0000000000000000`);
      const ids = Array<number>(4).fill(uid).join('\t');
      const { result } = await rig().once(look, {}, { owner: 'one' });
      expect(text(result).trim().split('\n')).to.deep.equal([
        'function',
        String(uid),
        `Uid:\t${ids}`,
        ...none,
      ]);
    });

    it("closes an owner's files, and what /proc says, to the user of another", async () => {
      const secret = { name: 'secret', content: 'secret', mode: 0o400 };
      const files = [secret, { name: 'hold.py', content: IN_MEMORY }];
      const made = { owner: 'one', files, runtime: { run: 'cat secret; python3 hold.py; true' } };
      const sandbox = await rig().start('fresh', made);
      const logs: string[] = [];
      const ending = sandbox.run(request());
      try {
        const stranger = await uidOf('other');
        const one = await uidOf('one');
        const pid = await eventually('it sleeps', () =>
          readdirSync('/proc').find((name) => isSleepOf(name, one)),
        );
        const cwd = `/proc/${pid}/cwd/secret`;
        const seen = [`/proc/${pid}/environ`, `/proc/${pid}/auxv`, cwd, `/proc/${pid}/fd/9`];
        for (const path of seen) {
          const read = spawnSync('setpriv', [
            ...[`--reuid=${stranger}`, `--regid=${stranger}`, '--clear-groups'],
            ...['/bin/cat', path],
          ]);
          logs.push(String(read.stderr).trim());
          expect(String(read.stdout)).to.equal('');
        }
        expect(logs.every((line) => line.endsWith('Permission denied'))).to.equal(true);
      } finally {
        await sandbox.remove();
        await ending.catch(() => undefined);
      }
    });

    it('runs `dependencies` as that user, and keeps what they leave', async () => {
      const runtime = { dependencies: 'id -u > ~/uid; id -u > uid; chmod 0400 ~/uid uid' };
      const made = { owner: 'one', runtime };
      const uid = await uidOf('one');
      const { result } = await rig().once('cat ~/uid uid; stat -c %u ~/uid uid; true', {}, made);
      expect(text(result)).to.equal(`${uid}\n`.repeat(4));
    });
  });

  it('covers what tells of the machine in /proc', async () => {
    const names = 'acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list timer_stats';
    const look = `cd /proc; for f in ${names}; do [ -f $f ] && head -c 1 $f; [ -d $f ] && ls -A $f; done; true`;
    expect(summary(await rig().once(look))).to.include({ status: 'DONE', result: '', logs: '' });
    const write = `for f in ${names}; do [ -e $f ] && echo > /proc/$f && echo $f; done 2>/dev/null; true`;
    expect(summary(await rig().once(write))).to.include({ status: 'DONE', result: '' });
  });

  it('filters system calls, as container engines do', async () => {
    const made = { files: { 'calls.py': SYSTEM_CALLS }, settings: { memoryMb: 512 } };
    const ended = await rig().once('python3 calls.py; grep ^Seccomp: /proc/self/status; true #', {}, made);
    expect(text(ended.logs)).to.equal('');
    expect(text(ended.result).trim().split('\n')).to.deep.equal([
      ...[
        'add_key EPERM',
        'bpf EPERM',
        'clone into a namespace EPERM',
        'clone3 ENOSYS',
        'io_uring_setup EPERM',
      ],
      ...[
        'keyctl EPERM',
        'mount EPERM',
        'request_key EPERM',
        'personality EPERM',
        'personality of Linux allowed',
        'setns EPERM',
      ],
      ...['socket of the hypervisor EPERM', 'unknown ENOSYS', 'unshare EPERM', 'userfaultfd EPERM'],
      ...['x32 ENOSYS', 'Seccomp:\t2'],
    ]);
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

    for (const network of ['none', 'bridge'] as const) {
      it(`resolves localhost, and its own name, under \`${network}\``, async () => {
        const made = { files: { 'names.py': NAMES }, settings: { network, memoryMb: 512 } };
        const ended = await rig().once('python3 names.py #', {}, made);
        expect(summary(ended)).to.include({ status: 'DONE', logs: '' });
        expect(text(ended.result).trim().split('\n')).to.deep.equal([
          ...[
            'localhost 127.0.0.1',
            'localhost ::1',
            'sandbox 127.0.0.1',
            'reached 127.0.0.1',
            'reached ::1',
          ],
        ]);
        const node = `node -p 'require("dns").promises.lookup("localhost").then((a) => console.log(a.address)), ""'`;
        expect(text((await rig().once(`${node} #`, {}, made)).result)).to.match(/^\n(127\.0\.0\.1|::1)\n$/);
      });
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

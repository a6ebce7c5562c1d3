import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { openDataDir, StartRefusal } from '@panal/protocol';
import { expect } from 'chai';
import { temporaryFolder } from '../support/folder.js';
import { withDroppedCapabilities, withOwnMounts } from '../support/groups.js';
import { freePorts } from '../../testkit/ports.js';
import { eventually } from '../../testkit/wait.js';

/** A program of the source, as a command line. */
const run = (path: string, ...args: string[]): string[] => [
  process.execPath,
  '--import=tsx',
  '--conditions=@panal/source',
  fileURLToPath(new URL(`../../${path}`, import.meta.url)),
  ...args,
];
const BROKER = run('broker/src/main.ts');
const PROCESSES = { broker: BROKER, worker: run('worker/src/main.ts') };
const UP = run('test/cli/fixtures/panal.ts', 'up');

const refusalOf = async (dataDir: string): Promise<StartRefusal> => {
  const error: unknown = await openDataDir(dataDir).catch((reason: unknown) => reason);
  return error instanceof StartRefusal ? error : expect.fail(`${dataDir} was not refused`);
};

describe('FAAS_DATA_DIR', function () {
  this.slow(20_000);
  const folder = temporaryFolder();
  const at = (name: string): string => join(folder(), name);
  const children: ChildProcess[] = [];

  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  function start(
    argv: readonly string[],
    dataDir: string,
    settings: Record<string, string> = {},
  ): ChildProcess {
    const [program = '', ...args] = argv;
    const { PATH, HOME } = process.env;
    const env = { PATH, HOME, FAAS_DATA_DIR: dataDir, FAAS_SANDBOX: 'process', PORT: '0', ...settings };
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    return child;
  }

  /** What a process ended with, and all that it said. */
  async function endOf(child: ChildProcess): Promise<{ code: number | null; said: string }> {
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null) throw new Error('nobody listens to it');
    const [out, err] = await Promise.all([text(stdout), text(stderr), once(child, 'exit')]);
    return { code: child.exitCode, said: out + err };
  }

  it('is made with the folders above it', async () => {
    await openDataDir(at('a/b/c'));
    await openDataDir(at('a/b/c'));
    expect(existsSync(at('a/b/c'))).to.equal(true);
  });

  it('may be a link to a folder', async () => {
    await mkdir(at('there'));
    await symlink(at('there'), at('link'));
    await openDataDir(at('link'));
  });

  it('is refused in one line that says what it is if nothing can be kept there', async () => {
    await writeFile(at('file'), '');
    await symlink(at('none'), at('dangling'));
    await symlink('loop', at('loop'));
    const faults: [string, string][] = [
      [at('file'), 'is a file'],
      [at('file/below'), 'is a file, or is below one'],
      [at('file/far/below'), 'is a file, or is below one'],
      [at('dangling'), 'a link that leads nowhere'],
      [at('dangling/below'), 'a link that leads nowhere'],
      [at('loop'), 'a link that leads to itself'],
      [at('x'.repeat(300)), 'too long a name'],
      [at('x'.repeat(200) + '/x'.repeat(3000)), 'too long a name'],
      ['/proc/panal/data', 'cannot be made there'],
      ['/dev/null', 'is a file'],
    ];
    for (const [dataDir, why] of faults) {
      const refusal = await refusalOf(dataDir);
      expect(refusal.message, dataDir)
        .to.match(/^FAAS_DATA_DIR cannot be used: [^\n]*; set FAAS_DATA_DIR to a folder/)
        .and.to.contain(why);
      expect(refusal.exitCode).to.equal(1);
    }
    expect(existsSync(at('none'))).to.equal(false);
  });

  for (const [name, main] of Object.entries(PROCESSES)) {
    it(`that is a file ends a ${name} with one line and code 1`, async () => {
      await writeFile(at('file'), 'mine');
      const { code, said } = await endOf(start(main, at('file')));
      expect(code).to.equal(1);
      expect(said).to.match(new RegExp(`^${name}: FAAS_DATA_DIR cannot be used: [^\\n]*\\n$`));
    });
  }

  it('that has a file where a folder of the broker has to be ends it with one line and code 1', async () => {
    await writeFile(at('bundles'), '');
    const { code, said } = await endOf(start(BROKER, folder()));
    expect(code).to.equal(1);
    expect(said).to.match(/^broker: FAAS_DATA_DIR cannot be used: \S*bundles is a file[^\n]*\n$/);
  });

  it('that is a file ends `panal up` with one line and code 1', async () => {
    await writeFile(at('file'), '');
    const { code, said } = await endOf(start(UP, at('file')));
    expect(code).to.equal(1);
    expect(said).to.match(/^panal: FAAS_DATA_DIR cannot be used: [^\n]*\n$/);
  });

  it('that another broker has open ends a broker with one line and code 1', async () => {
    const address = { ZMQ_BIND_ADDRESS: `tcp://127.0.0.1:${await freePorts()}` };
    const first = start(BROKER, folder(), address);
    await eventually('its store', () => existsSync(at('bundles')));
    const { code, said } = await endOf(start(BROKER, folder()));
    expect(code).to.equal(1);
    expect(said).to.match(/^broker: FAAS_DATA_DIR \S+ is used by another broker \([^\n]*\): [^\n]*\n$/);
    expect(first.exitCode).to.equal(null);
  });

  withOwnMounts('on a read-only disk', () => {
    /** The command with a disk that is read-only at `folder`, which nobody else sees. */
    const onReadOnlyDisk = (command: readonly string[]): string[] => {
      const script = 'mount -t tmpfs -o ro none "$1" && shift && exec "$@"';
      return ['unshare', '--mount', 'sh', '-c', script, 'sh', folder(), ...command];
    };

    for (const [name, main] of Object.entries(PROCESSES)) {
      for (const dataDir of ['', 'not there yet']) {
        it(`ends a ${name} with one line and code 1 (${dataDir || 'the folder itself'})`, async () => {
          const { code, said } = await endOf(start(onReadOnlyDisk(main), at(dataDir)));
          expect(code).to.equal(1);
          expect(said).to.match(
            new RegExp(`^${name}: FAAS_DATA_DIR cannot be used: \\S.* is on a read-only disk[^\\n]*\\n$`),
          );
        });
      }
    }
  });

  withDroppedCapabilities('of somebody else', () => {
    it('ends a broker with one line and code 1', async () => {
      await mkdir(at('theirs'), { mode: 0o555 });
      const asNobodySpecial = [
        'setpriv',
        '--bounding-set=-dac_override,-dac_read_search',
        '--inh-caps=-all',
        ...BROKER,
      ];
      const { code, said } = await endOf(start(asNobodySpecial, at('theirs')));
      expect(code).to.equal(1);
      expect(said).to.match(
        /^broker: FAAS_DATA_DIR cannot be used: .*theirs is not to be read and written by [^\n]*\n$/,
      );
    });
  });
});

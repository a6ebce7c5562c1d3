import { execFileSync } from 'node:child_process';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryFolder } from '../support/folder.js';
import { Arena, rootDisk } from './arena.js';

/** What the attacker would say, were it not contained: the same attacks, where nothing claims to isolate. */
describe('The attacker, where nothing holds it', () => {
  const folder = temporaryFolder();
  let arena: Arena;

  beforeEach(async () => {
    const PATH = await pathWithoutBubblewrap(join(folder(), 'bin'));
    arena = await Arena.open({ PATH, FAAS_SANDBOX: 'process' });
    await arena.deploy('attacker', 'warm', {});
  });
  afterEach(() => arena.close());

  it('reads, reaches and writes what it should not, and says so', async () => {
    const { secret, canary, secretFile } = arena;
    await arena.call('victim', {});
    const read = { secret, paths: [canary], file: 'canary.txt', walk: arena.folder, sockets: [] };
    const address = new URL(arena.panal.url).host;
    expect(await achieved('read_files', read)).to.include.members([canary]);
    expect(await achieved('reach', { addresses: [address] })).to.deep.equal([address]);
    expect(await achieved('read_files', { ...read, file: secretFile, walk: arena.panal.folder })).to.satisfy(
      (all: string[]) => all.some((path) => path.endsWith(secretFile)),
    );
    if (process.getuid?.() !== 0) return;
    const plant = { plant: [arena.folder], name: 'planted', disk: await rootDisk() };
    expect(await achieved('write_outside', plant)).to.include.members([
      '/proc/sys/kernel/core_pattern',
      'mount',
      'chroot',
    ]);
  });

  async function achieved(attack: string, params: Record<string, unknown>): Promise<unknown> {
    const { result } = await arena.call('attacker', { ...params, attack });
    return JSON.parse(String(result));
  }
});

async function pathWithoutBubblewrap(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const python = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], {
    encoding: 'utf8',
  }).trim();
  await symlink(python, join(folder, 'python3'));
  await symlink(process.execPath, join(folder, 'node'));
  return folder;
}

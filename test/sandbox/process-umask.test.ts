import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { builtAgent } from '../agent/rig.js';
import { withBubblewrap, withCompiler } from '../support/groups.js';
import { ProcessRig } from './process-rig.js';
import { request, text } from './requests.js';

/** A bundle with modes of its own, and folders that no entry names. */
const FILES = [
  { name: 'plain.txt', content: 'plain', mode: 0o644 },
  { name: 'tool.sh', content: 'echo tool', mode: 0o755 },
  { name: 'deep/er/data.txt', content: 'data', mode: 0o640 },
];
const DEPENDENCIES = 'mkdir -p ~/.local/bin made && echo made > made/file && echo tool > ~/.local/bin/tool';
/** Modes and owners of all that a call can see of its own. */
const LOOK = 'umask; id -u; cd /; find ws home/function run/panal tmp etc -printf "%m %U %p\\n" | sort; true';
const HANDLER = 'import os\ndef handler(params, context): return "%04o" % os.umask(0o022)\n';
const RUNTIMES = fileURLToPath(new URL('../../runtimes', import.meta.url));

withBubblewrap('processes of a worker under another umask', () => {
  describe('without an agent', () => modes(() => undefined));
  withCompiler('with an agent', () => modes(builtAgent));
});

function modes(agent: () => string | undefined): void {
  let folder = '';
  let usual: string;
  let usualUmask = 0o022;

  before(async function () {
    if (process.getuid?.() !== 0) this.skip();
    usualUmask = process.umask(0o022);
    folder = await mkdtemp(join(tmpdir(), 'panal-test-'));
    usual = await seenUnder(0o022);
  });
  after(async () => {
    if (folder === '') return;
    process.umask(usualUmask);
    await rm(folder, { recursive: true, force: true });
  });

  for (const umask of [0o077, 0o000, 0o777]) {
    it(`find the modes that they find under umask 022: ${umask.toString(8).padStart(3, '0')}`, async () => {
      expect(await seenUnder(umask)).to.equal(usual);
    });
  }

  it('read an agent and runtimes that were built under umask 077', async () => {
    // As a checkout and a build by a user who keeps everything to himself.
    const checkout = join(folder, 'checkout');
    await mkdir(checkout);
    await cp(RUNTIMES, join(checkout, 'runtimes'), { recursive: true });
    const built = agent();
    if (built !== undefined) await cp(built, join(checkout, 'agent'));
    execFileSync('chmod', ['-R', 'go=', checkout]);
    const rig = new ProcessRig(
      join(folder, 'closed'),
      built && join(checkout, 'agent'),
      {},
      join(checkout, 'runtimes'),
    );
    const { warnings } = await rig.open();
    try {
      expect(warnings.filter((warning) => warning.includes('as root'))).to.deep.equal([]);
      const handler = 'exec python3 "$FAAS_RUNTIME_DIR/loop.py"';
      const sandbox = await rig.start('hot', {
        files: { 'handler.py': HANDLER },
        runtime: { image: 'pythonruntime', handler },
      });
      const { result, logs } = await sandbox.run(request());
      await sandbox.remove();
      expect(text(result), text(logs)).to.equal('0022');
    } finally {
      await rig.driver.close();
    }
  });

  async function seenUnder(umask: number): Promise<string> {
    const dataDir = join(folder, umask.toString(8));
    await mkdir(dataDir);
    process.umask(umask);
    const rig = new ProcessRig(dataDir, agent());
    try {
      await rig.open();
      const ended = await rig.once(LOOK, {}, { files: FILES, runtime: { dependencies: DEPENDENCIES } });
      return `${text(ended.result)}${text(ended.logs)}`;
    } finally {
      process.umask(0o022);
      await rig.driver.close();
    }
  }
}

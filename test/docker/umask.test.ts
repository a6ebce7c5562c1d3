import { expect } from 'chai';
import { withEngine } from '../support/groups.js';
import { call, Rig, started, text, WAYS } from './rig.js';

const PYTHON = 'FROM python:3.12-slim';
const TEST = 'import os\nprint(os.getuid(), open("folder/data.txt").read(), open("plain.txt").read())\n';

/** Files with modes of their own, and a folder that no entry names. */
const FILES = [
  { name: 'test.py', content: TEST },
  { name: 'plain.txt', content: 'plain', mode: 0o644 },
  { name: 'folder/data.txt', content: 'data', mode: 0o644 },
];

for (const way of WAYS) {
  withEngine(`a worker under umask 077, by the way "${way}"`, () => {
    let rig: Rig;
    let image: string;
    let before077: number;

    before(async () => {
      before077 = process.umask(0o077);
      rig = await Rig.make();
      image = await rig.build(PYTHON, 'RUN useradd -m -u 1234 app', 'USER app');
    });
    after(async () => {
      process.umask(before077);
      await rig.remove();
    });

    for (const blanks of [false, true]) {
      for (const dependencies of [undefined, 'echo made > made.txt']) {
        const made = dependencies === undefined ? 'without' : 'with';
        it(`lets another user read its files, ${made} dependencies, blanks ${String(blanks)}`, async () => {
          const docker = way === 'remote' ? await rig.remoteEngine() : rig.docker;
          const driver = rig.driver(way, docker, { blanks });
          await driver.open();
          const runtime = {
            image,
            run: 'python3 test.py',
            ...(dependencies !== undefined && { dependencies }),
          };
          const spec = await rig.shell('python3 test.py', { runtime, files: FILES });
          for (const lifecycle of ['fresh', 'warm'] as const) {
            const sandbox = await started(driver, spec, lifecycle);
            const { result, logs } = await sandbox.run(call());
            await sandbox.remove();
            expect(text(result), text(logs)).to.equal('1234 data plain\n');
          }
        });
      }
    }
  });
}

import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { findPrograms } from '../../worker/src/sandbox/process/programs.js';
import { temporaryFolder } from '../support/folder.js';
import { withBubblewrap } from '../support/groups.js';
import { ProcessRig } from './process-rig.js';
import { text } from './requests.js';

describe('The programs that functions get', () => {
  const folder = temporaryFolder();
  const { PATH = '' } = process.env;
  const home = (): string => join(folder(), 'home');
  const bin = (): string => join(home(), 'bin');

  /** An interpreter below somebody's home, first in the worker's PATH. */
  beforeEach(async () => {
    await mkdir(bin(), { recursive: true });
    await copyFile(process.execPath, join(bin(), 'node'));
    process.env.PATH = `${bin()}:${PATH}`;
  });
  afterEach(() => {
    process.env.PATH = PATH;
  });

  it('are found in a folder of their own, which is seen whole', async () => {
    await mkdir(join(home(), 'lib', 'node_modules'), { recursive: true });
    const { path, places } = await findPrograms();
    expect(path.split(':')).to.include(bin());
    expect(places).to.include(home());
  });

  it('are found below a home, of which nothing else is seen', async () => {
    await writeFile(join(home(), '.netrc'), 'secret');
    const { path, places } = await findPrograms();
    expect(path.split(':')).to.include(bin());
    expect(places).to.include(join(bin(), 'node')).and.not.include(home());
  });

  it('never have a home of the worker seen, whatever is in it', async () => {
    const { HOME } = process.env;
    process.env.HOME = home();
    try {
      expect((await findPrograms()).places).to.not.include(home());
    } finally {
      process.env.HOME = HOME;
    }
  });

  withBubblewrap('under bubblewrap', () => {
    it('run from a home whose other files cannot be read', async () => {
      await writeFile(join(home(), 'secret'), 'of the home');
      const rig = new ProcessRig(folder(), undefined);
      await rig.open();
      const ended = await rig.once(`node -p '40 + 2'; which node; cat ${home()}/secret; ls -A ${home()}`);
      await rig.driver.close();
      expect(text(ended.result)).to.equal(`42\n${bin()}/node\nbin\n`);
    });
  });
});

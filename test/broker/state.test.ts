import { chmod, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readConfig } from '@panal/protocol';
import { expect } from 'chai';
import { pino } from 'pino';
import { Closers } from '../../broker/src/closers.js';
import { Holder } from '../../broker/src/holder.js';
import { openState } from '../../broker/src/state.js';
import { temporaryFolder } from '../support/folder.js';

describe("The folder of a broker's store", () => {
  const folder = temporaryFolder();
  const store = (): string => join(folder(), 'store');

  /** Opens and closes it, and tells its mode. */
  async function opened(): Promise<number> {
    const closers = new Closers();
    const log = pino({ level: 'silent' });
    const observer = { committed: () => undefined, failed: () => undefined };
    await openState(readConfig({ FAAS_DATA_DIR: folder() }), {
      run: 'r',
      ...{ closers, observer, log, holder: new Holder(folder()) },
    });
    await closers.close();
    return (await stat(store())).mode & 0o777;
  }

  it('is closed to other users, whatever the umask, and also where it was open before', async () => {
    const umask = process.umask(0);
    try {
      expect(await opened()).to.equal(0o700);
      await chmod(store(), 0o755);
      expect(await opened()).to.equal(0o700);
    } finally {
      process.umask(umask);
    }
  });
});

import { expect } from 'chai';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { claimIdentity, FolderInUse } from '../../worker/src/identity.js';
import { temporaryFolder } from '../support/folder.js';

describe("a worker's identity", () => {
  const folder = temporaryFolder();

  it('is the same each time the worker starts', async () => {
    const first = await claimIdentity(join(folder(), 'data'));
    await first.release();
    const second = await claimIdentity(join(folder(), 'data'));
    await second.release();
    expect(first.id).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(second.id).to.equal(first.id);
  });

  it('is one worker’s only', async () => {
    const identity = await claimIdentity(folder());
    const refusal: unknown = await claimIdentity(folder()).catch((error: unknown) => error);
    expect(refusal).to.be.instanceOf(FolderInUse).with.property('message').that.contains('FAAS_DATA_DIR');
    await identity.release();
  });

  it('passes to a successor when its worker crashed, whoever has the process number now', async () => {
    const before = await claimIdentity(folder());
    await before.release();
    for (const stale of ['999999999 1', `${process.pid} 1`, '1 1', 'rubbish', '']) {
      await writeFile(join(folder(), 'worker.pid'), stale);
      const after = await claimIdentity(folder());
      expect(after.id).to.equal(before.id);
      await after.release();
    }
  });
});

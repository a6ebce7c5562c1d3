import { SmallDisk, type SmallDiskOptions } from '../../testkit/small-disk.js';
import { temporaryFolder } from './folder.js';

/** A file system of its own, of so many MiB, for each test of the group; where none can be mounted, they are skipped. */
export function smallDisk(sizeMb: number, options?: SmallDiskOptions): () => SmallDisk {
  let disk: SmallDisk | undefined;
  // First of all: a folder cannot be removed in which something is mounted.
  afterEach(async () => {
    await disk?.close();
    disk = undefined;
  });
  const folder = temporaryFolder();
  beforeEach(async function () {
    const mounted = new SmallDisk(`${folder()}/disk`, sizeMb, options);
    try {
      await mounted.open();
    } catch {
      this.skip();
    }
    disk = mounted;
  });
  return () => {
    if (disk === undefined) throw new Error('called outside of a test');
    return disk;
  };
}

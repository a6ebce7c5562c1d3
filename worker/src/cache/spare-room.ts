import { statfs } from 'node:fs/promises';

/** What a disk should have free, so that calls find room: this, or a tenth of it where that is less. */
const FREE_BYTES = 1024 ** 3;

/** Bytes that the disk of `folder` has to spare; below 0 where it is too full. */
export async function spareRoom(folder: string): Promise<number> {
  const { bavail, blocks, bsize } = await statfs(folder);
  return bsize * bavail - Math.min(FREE_BYTES, (bsize * blocks) / 10);
}

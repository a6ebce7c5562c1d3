import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openDataDir, StartRefusal } from '@panal/protocol';
import { runsSince, startOf } from '@panal/support';
import { v7 as uuidv7 } from 'uuid';

/** A worker's name, and the right to its data folder. */
export interface Identity {
  readonly id: string;
  release(): Promise<void>;
}

/** Another worker runs in this data folder. */
export class FolderInUse extends StartRefusal {
  constructor(dataDir: string, pid: string) {
    super(`FAAS_DATA_DIR ${dataDir} is used by another worker (process ${pid}); each worker needs its own`);
    this.name = 'FolderInUse';
  }
}

/**
 * Takes the data folder for this process, and the worker's id from it: an id outlives its process, so that what a
 * crashed worker left (containers carry its id) is found by its successor.
 * @throws StartRefusal if it cannot be written, `FolderInUse` if another worker has it
 */
export async function claimIdentity(dataDir: string): Promise<Identity> {
  await openDataDir(dataDir);
  const lock = join(dataDir, 'worker.pid');
  await claim(lock, dataDir);
  try {
    return { id: await idIn(join(dataDir, 'worker-id')), release: async () => rm(lock, { force: true }) };
  } catch (error) {
    await rm(lock, { force: true });
    throw error;
  }
}

async function claim(lock: string, dataDir: string): Promise<void> {
  const mine = `${process.pid} ${await startOf(String(process.pid))}\n`;
  if (await writeNew(lock, mine)) return;
  const [pid = '', start = ''] = (await contentOf(lock)).trim().split(' ');
  if (await runsSince(pid, start)) throw new FolderInUse(dataDir, pid);
  await rm(lock, { force: true });
  if (!(await writeNew(lock, mine))) throw new FolderInUse(dataDir, 'starting now');
}

async function idIn(file: string): Promise<string> {
  const known = (await contentOf(file)).trim();
  if (known !== '') return known;
  const id = uuidv7();
  await writeFile(file, `${id}\n`);
  return id;
}

/** Whether the file was made; `false` where it is there already. */
async function writeNew(path: string, content: string): Promise<boolean> {
  try {
    await writeFile(path, content, { flag: 'wx' });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Content of a file; empty where there is none. */
async function contentOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return '';
    throw error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

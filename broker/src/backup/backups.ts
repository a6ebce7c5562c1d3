import { createReadStream } from 'node:fs';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Copyable, StoreCopy } from '@panal/db';
import { PanalError } from '@panal/protocol';
import type { Logger } from 'pino';
import { v7 as uuid } from 'uuid';
import type { BundleStore } from '../bundles/bundle-store.js';
import {
  archiveTail,
  BUNDLES,
  END,
  FORMAT,
  MANIFEST,
  memberHead,
  memberTail,
  PAGES,
  SECRET,
} from './archive.js';
import { encodePage } from './page-codec.js';

export interface BackupsOptions {
  store: Copyable;
  bundles: Pick<BundleStore, 'link'>;
  dataDir: string;
  log: Logger;
}

/** How often a copy is begun anew because code went while it was made. */
const TRIES = 5;

/** Bytes read of a bundle at once. */
const PIECE = 256 * 1024;

/** What a backup is made of: the store of one moment, and links to the code that it names. */
interface Frozen {
  /** When it was as the backup has it, or a moment before. */
  createdAt: Date;
  copy: StoreCopy;
  /** Where the links are. */
  folder: string;
  bundles: readonly string[];
}

/** Makes copies of all that the broker keeps, each of one moment, while it goes on. */
export class Backups {
  readonly #options: BackupsOptions;
  readonly #folder: string;

  constructor(options: BackupsOptions) {
    this.#options = options;
    this.#folder = join(options.dataDir, 'backups');
  }

  /** Removes unfinished backups of an earlier run. */
  async open(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  /**
   * Begins a backup: what it holds is decided when this resolves. It is read from the stream, which lets go of it all
   * when it closes, at its end or before.
   * @throws PanalError STORE_UNAVAILABLE
   */
  async begin(): Promise<Readable> {
    const frozen = await this.#freeze();
    const stream = Readable.from(this.#archive(frozen), { objectMode: false });
    stream.once('close', () => void this.#thaw(frozen));
    return stream;
  }

  async #freeze(): Promise<Frozen> {
    const folder = join(this.#folder, uuid());
    await mkdir(folder, { recursive: true });
    for (let tries = TRIES; tries > 0; tries--) {
      const createdAt = new Date();
      const copy = await this.#options.store.copy();
      try {
        const bundles = await copy.bundles();
        const linked = await Promise.all(bundles.map((sha256) => this.#options.bundles.link(sha256, folder)));
        if (!linked.includes(false)) return { createdAt, copy, folder, bundles };
      } catch (error) {
        await this.#thaw({ copy, folder });
        throw error;
      }
      // Between the copy and the links a function was deleted, and its code with it.
      await copy.close();
    }
    await rm(folder, { recursive: true, force: true });
    throw new PanalError(
      'STORE_UNAVAILABLE',
      'code that versions use is missing; the log of the broker may say why',
    );
  }

  async #thaw({ copy, folder }: Pick<Frozen, 'copy' | 'folder'>): Promise<void> {
    try {
      await copy.close();
      await rm(folder, { recursive: true, force: true });
    } catch (error) {
      this.#options.log.warn({ err: error }, 'a backup was not tidied up');
    }
  }

  async *#archive({ createdAt, copy, folder, bundles }: Frozen): AsyncGenerator<Buffer, void, undefined> {
    yield* json(MANIFEST, { format: FORMAT, createdAt: createdAt.toISOString() });
    let pages = 0;
    let entries = 0;
    for await (const page of copy.pages()) {
      entries += page.length;
      yield* member(`${PAGES}${String(pages++).padStart(6, '0')}`, encodePage(page));
    }
    for (const sha256 of bundles) yield* fileMember(`${BUNDLES}${sha256}`, join(folder, sha256));
    const secret = await readFile(join(this.#options.dataDir, SECRET)).catch(() => undefined);
    if (secret !== undefined) yield* member(SECRET, secret);
    yield* json(END, { entries, bundles: bundles.length });
    yield archiveTail();
  }
}

const json = (path: string, value: object): Generator<Buffer, void, undefined> =>
  member(path, Buffer.from(JSON.stringify(value)));

function* member(path: string, bytes: Buffer): Generator<Buffer, void, undefined> {
  yield memberHead(path, bytes.byteLength);
  if (bytes.byteLength > 0) yield bytes;
  yield memberTail(bytes.byteLength);
}

async function* fileMember(path: string, file: string): AsyncGenerator<Buffer, void, undefined> {
  const { size } = await stat(file);
  yield memberHead(path, size);
  yield* createReadStream(file, { highWaterMark: PIECE }) as AsyncIterable<Buffer>;
  yield memberTail(size);
}

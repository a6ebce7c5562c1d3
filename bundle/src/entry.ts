import { PanalError } from '@panal/protocol';

/** One entry as its archive states it, nothing of it checked. */
export interface Entry {
  name: string;
  /** `other`: a device, a FIFO, whatever else a format may hold. `sparse`: a file without the zeros in it. */
  type: 'file' | 'directory' | 'symlink' | 'link' | 'sparse' | 'other';
  executable: boolean;
  /** What a link stands for: of a symlink, relative to its folder; of a hard link, to the archive's root. */
  target: string;
}

/** An archive read from front to back: each entry, and after a file its content in pieces. */
export type Piece = Entry | Uint8Array;

/** Longest name or link target, in bytes: with the folder it is unpacked in, it must stay below PATH_MAX. */
export const MAX_NAME = 1024;

/** The archive holds something that must not be unpacked. */
export function unsafe(name: string, why: string): PanalError {
  return new PanalError('UNSAFE_ARCHIVE', `The entry ${JSON.stringify(name.slice(0, 200))} ${why}`);
}

/** The bytes are no archive, or one that is broken. */
export function damaged(why: string, cause?: unknown): PanalError {
  return new PanalError('NOT_AN_ARCHIVE', why, { cause });
}

/** What a decoder's complaint means. What the operating system reported is no fault of the archive and stays. */
export function decoderError(error: unknown): unknown {
  if (error instanceof PanalError || !(error instanceof Error) || 'syscall' in error) return error;
  return damaged(`The archive is damaged: ${error.message}`, error);
}

/** Where a piece of logs goes, with its place in them, in bytes. */
export type LogSink = (piece: Uint8Array, offset: number) => void;

/**
 * What an attempt has logged so far, and where it goes when somebody follows. Holds the same pieces that are collected
 * for the outcome, not copies of them: a call that nobody follows pays for a list of them.
 */
export class LogTap {
  #pieces: Uint8Array[] = [];
  #size = 0;
  #sink: LogSink | undefined;

  /** The attempt logged another piece. */
  add(piece: Uint8Array): void {
    const offset = this.#size;
    this.#pieces.push(piece);
    this.#size += piece.byteLength;
    this.#sink?.(piece, offset);
  }

  /** Begins anew: the attempt goes to another sandbox, and what the first one logged is not its outcome's. */
  clear(): void {
    this.#pieces = [];
    this.#size = 0;
  }

  /** Hands what there is to `sink` at once, be it nothing, and what comes as it comes. */
  follow(sink: LogSink): void {
    this.#sink = sink;
    // Whoever asks waits for an answer.
    sink(Buffer.concat(this.#pieces), 0);
  }

  unfollow(): void {
    this.#sink = undefined;
  }
}

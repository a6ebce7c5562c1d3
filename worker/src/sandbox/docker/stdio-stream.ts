import { Duplex } from 'node:stream';
import { Demultiplexer } from '../../engine/demux.js';

/** The stdin and stdout of an attached container as one stream; its stderr is handed to `onStderr`. */
export class StdioStream extends Duplex {
  readonly #attached: Duplex;

  constructor(attached: Duplex, onStderr: (piece: Buffer) => void) {
    super();
    this.#attached = attached;
    const parts = new Demultiplexer({
      stdout: (piece) => {
        if (!this.push(piece)) attached.pause();
      },
      stderr: onStderr,
    });
    attached.on('data', (chunk: Buffer) => parts.write(chunk));
    attached.on('end', () => this.push(null));
    attached.on('error', (error) => this.destroy(error));
    attached.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#attached.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#attached.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#attached.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#attached.destroy();
    done(error);
  }
}

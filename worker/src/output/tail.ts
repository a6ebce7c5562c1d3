import { firstCharacter } from './characters.js';

const MARKER = Buffer.from('[the beginning was cut]\n');

/** Keeps the last bytes of an output: where an installation fails, its end says why. */
export class Tail {
  readonly #limit: number;
  readonly #pieces: Uint8Array[] = [];
  #size = 0;
  #cut = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#size += piece.length;
    for (
      let first = this.#pieces[0];
      first !== undefined && this.#size > this.#limit;
      first = this.#pieces[0]
    ) {
      const excess = Math.min(first.length, this.#size - this.#limit);
      if (excess === first.length) this.#pieces.shift();
      else this.#pieces[0] = first.subarray(excess);
      this.#size -= excess;
      this.#cut = true;
    }
  }

  get bytes(): Uint8Array {
    const kept = Buffer.concat(this.#pieces);
    return this.#cut ? Buffer.concat([MARKER, kept.subarray(firstCharacter(kept))]) : kept;
  }
}

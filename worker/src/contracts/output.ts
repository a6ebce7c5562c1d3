import { wholeCharacters } from '../output/characters.js';

const NOTHING = new Uint8Array(0);

/** What is kept of a call's output. */
export interface OutputLimits {
  /** Bytes of result. */
  maxOutput: number;
  /** Bytes of logs. */
  maxLogs: number;
  /** Is handed each kept piece of logs as it comes. */
  onLog?: (piece: Uint8Array) => void;
}

/** Collects the result and the logs of one call, each up to its limit. */
export class Output {
  readonly #limits: OutputLimits;
  readonly #result: Uint8Array[] = [];
  readonly #logs: Uint8Array[] = [];
  #resultSize = 0;
  #logsSize = 0;
  #logsCut = false;
  /** The beginning of a character. */
  #logsRest: Uint8Array = NOTHING;

  constructor(limits: OutputLimits) {
    this.#limits = limits;
  }

  /** What came as the result was none. */
  dropResult(): void {
    this.#result.length = 0;
  }

  /** Adds a piece of the result; false when that makes it too large, and from then on nothing is kept. */
  addResult(piece: Uint8Array): boolean {
    this.#resultSize += piece.byteLength;
    if (this.#resultSize > this.#limits.maxOutput) {
      this.#result.length = 0;
      return false;
    }
    this.#result.push(piece);
    return true;
  }

  /**
   * Adds a piece of the logs. What is past the limit is dropped, and a marker ends them. Pieces are kept, and handed on,
   * from character to character: the part of one at the end of a piece waits for the next piece.
   */
  addLogs(piece: Uint8Array): void {
    if (this.#logsCut || piece.byteLength === 0) return;
    const { maxLogs } = this.#limits;
    const bytes = this.#logsRest.byteLength === 0 ? piece : Buffer.concat([this.#logsRest, piece]);
    this.#logsCut = this.#logsSize + bytes.byteLength > maxLogs;
    const kept = bytes.subarray(0, wholeCharacters(bytes.subarray(0, maxLogs - this.#logsSize)));
    this.#logsRest = this.#logsCut ? NOTHING : bytes.subarray(kept.byteLength);
    this.#keepLogs(kept);
    if (this.#logsCut) this.#keepLogs(Buffer.from(`\n[logs cut at ${maxLogs} bytes (FAAS_MAX_LOGS)]\n`));
  }

  #keepLogs(piece: Uint8Array): void {
    if (piece.byteLength === 0) return;
    this.#logsSize += piece.byteLength;
    this.#logs.push(piece);
    this.#limits.onLog?.(piece);
  }

  get result(): Uint8Array {
    return join(this.#result);
  }

  get logs(): Uint8Array {
    return join(this.#logsRest.byteLength === 0 ? this.#logs : [...this.#logs, this.#logsRest]);
  }
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  return pieces.length > 1 ? Buffer.concat(pieces) : (pieces[0] ?? NOTHING);
}

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

  constructor(limits: OutputLimits) {
    this.#limits = limits;
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

  /** Adds a piece of the logs. What is past the limit is dropped, and a marker ends them. */
  addLogs(piece: Uint8Array): void {
    if (this.#logsCut || piece.byteLength === 0) return;
    const { maxLogs } = this.#limits;
    const room = maxLogs - this.#logsSize;
    if (piece.byteLength <= room) {
      this.#keepLogs(piece);
      return;
    }
    this.#logsCut = true;
    if (room > 0) this.#keepLogs(piece.subarray(0, room));
    this.#keepLogs(Buffer.from(`\n[logs cut at ${maxLogs} bytes]\n`));
  }

  #keepLogs(piece: Uint8Array): void {
    this.#logsSize += piece.byteLength;
    this.#logs.push(piece);
    this.#limits.onLog?.(piece);
  }

  get result(): Uint8Array {
    return join(this.#result);
  }

  get logs(): Uint8Array {
    return join(this.#logs);
  }
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  return pieces.length > 1 ? Buffer.concat(pieces) : (pieces[0] ?? NOTHING);
}

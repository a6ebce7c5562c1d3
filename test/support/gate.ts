/** A door that a test opens: whoever passes waits until then. */
export class Gate {
  /** How many came to it so far. */
  arrivals = 0;
  readonly #opened: Promise<void>;
  #open: () => void = () => undefined;

  constructor() {
    this.#opened = new Promise((resolve) => (this.#open = resolve));
  }

  open(): void {
    this.#open();
  }

  /** @throws the signal's reason when it aborts before the gate opens. */
  async pass(signal?: AbortSignal): Promise<void> {
    this.arrivals++;
    if (signal === undefined) {
      await this.#opened;
      return;
    }
    signal.throwIfAborted();
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    await Promise.race([this.#opened, aborted]);
  }
}
